#include "app/find_account.hpp"

#include "store/accounts.hpp"

namespace souk::user::app {

Task<Result<User>> find_account(Services& services, std::string id, Deadline deadline) {
    std::vector<std::string> ids(1, std::move(id));
    auto found = co_await store::find_users(services.database, std::move(ids), deadline);
    if (!found) co_return found.error();
    if (found->empty()) co_return not_found("This account no longer exists.");
    co_return std::move(found->front());
}

}  // namespace souk::user::app
