#include "app/logout.hpp"

#include "store/sessions.hpp"

namespace souk::user::app {

Task<Result<void>> logout(Services& services, std::string session, Deadline deadline) {
    TransactionBody body = [session = std::move(session),
                            now = services.clock.now()](Transaction& tx) {
        return store::revoke_session(tx, session, now);
    };
    co_return co_await services.database.transact(std::move(body), deadline);
}

}  // namespace souk::user::app
