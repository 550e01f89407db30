#include "app/login.hpp"

#include "store/accounts.hpp"

namespace souk::user::app {

Task<Result<SignedIn>> login(Services& services, Credentials input, Deadline deadline) {
    auto found = co_await store::find_login(
        services.database, domain::normalized_email(input.email), deadline
    );
    if (!found) co_return found.error();
    std::optional<std::string> hash;
    if (found->has_value()) hash = (*found)->password_hash;
    auto matches = co_await services.hasher.verify(std::move(hash), std::move(input.password));
    if (!matches) co_return matches.error();
    if (!*matches)
        co_return Error(
            ErrorKind::unauthenticated, "bad_credentials", "The e-mail or the password is wrong."
        );

    User user = std::move((*found)->user);
    FreshToken token(services, make_session_id(services));
    TransactionBody body =
        [id = user.id, row = token.row, now = services.clock.now()](Transaction& tx
        ) -> Task<Result<void>> { co_return co_await store::insert_session(tx, id, row, now); };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return signed_in(services, std::move(user), std::move(token));
}

}  // namespace souk::user::app
