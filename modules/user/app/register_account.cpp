#include "app/register_account.hpp"

#include "souk/id.hpp"
#include "store/accounts.hpp"

namespace souk::user::app {

Task<Result<SignedIn>> register_account(Services& services, Registration input, Deadline deadline) {
    auto hash = co_await services.hasher.hash(std::move(input.password));
    if (!hash) co_return hash.error();

    const Timestamp now = services.clock.now();
    User user;
    user.id = make_id("usr", now);
    user.email = domain::normalized_email(input.email);
    user.name = std::move(input.name);
    user.role = domain::default_role;
    user.created_at = now;
    FreshToken token(services, make_session_id(services));

    TransactionBody body = [account = store::Login(user, std::move(*hash)),
                            row = token.row,
                            now](Transaction& tx) -> Task<Result<void>> {
        auto inserted = co_await store::insert_account(tx, account);
        if (!inserted && inserted.error().code == "unique_violation")
            co_return conflict("email_taken", "An account with this e-mail exists.");
        if (!inserted) co_return inserted.error();
        co_return co_await store::insert_session(tx, account.user.id, row, now);
    };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return signed_in(services, std::move(user), std::move(token));
}

}  // namespace souk::user::app
