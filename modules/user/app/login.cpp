#include "app/login.hpp"

#include "store/accounts.hpp"

#include <algorithm>

namespace souk::user::app {

namespace {

// The gateway limits an address; this limits what many addresses together may guess at one account.
// Known and unknown e-mails alike, so that it tells nothing.
constexpr std::int64_t tries_per_account = 20;
constexpr seconds tries_window{60};

Error too_many_tries(int reset_s) {
    return Error(
               ErrorKind::rate_limited,
               "too_many_attempts",
               "Too many attempts to sign in to this account; try again later."
    )
        .with_retry_after(std::max(reset_s, 1));
}

Error bad_credentials() {
    return Error(
        ErrorKind::unauthenticated, "bad_credentials", "The e-mail or the password is wrong."
    );
}

/// The password was checked some time ago: a reset since then ends what signed in with the old one,
/// and must not miss this session.
Task<Result<void>> open_session(
    Transaction& tx, store::Login account, store::RefreshToken row, Timestamp now
) {
    auto same = co_await store::has_password(tx, account.user.id, account.password_hash);
    if (!same) co_return same.error();
    if (!*same) co_return bad_credentials();
    co_return co_await store::insert_session(tx, account.user.id, row, now);
}

}  // namespace

Task<Result<SignedIn>> login(Services& services, Credentials input, Deadline deadline) {
    std::string email = domain::normalized_email(input.email);
    std::string limit_key = "login/" + email;
    auto decision = co_await services.limiter.take(limit_key, tries_per_account, tries_window);
    if (!decision.allowed) co_return too_many_tries(decision.reset_s);
    auto found = co_await store::find_login(services.database, std::move(email), deadline);
    if (!found) co_return found.error();
    std::optional<std::string> hash;
    if (found->has_value()) hash = (*found)->password_hash;
    auto matches = co_await services.hasher.verify(std::move(hash), std::move(input.password));
    if (!matches) co_return matches.error();
    if (!*matches) co_return bad_credentials();

    store::Login account = std::move(**found);
    FreshToken token(services, make_session_id(services));
    TransactionBody body = [account, row = token.row, now = services.clock.now()](Transaction& tx) {
        return open_session(tx, account, row, now);
    };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return signed_in(services, std::move(account.user), std::move(token));
}

}  // namespace souk::user::app
