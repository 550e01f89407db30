#include "app/refresh.hpp"

#include "souk/id.hpp"

namespace souk::user::app {

namespace {

struct Rotation {
    Rotation(Services& services, std::string presented)
        : presented(std::move(presented)), next(services, ""), now(services.clock.now()) {}
    const std::string presented;  // hash
    FreshToken next;
    const Timestamp now;
    std::optional<User> owner;  // nothing: refused
};

/// Commits in either case: a refusal of a used token must leave its session revoked.
Task<Result<void>> rotate_or_revoke(Transaction& tx, std::shared_ptr<Rotation> rotation) {
    rotation->owner.reset();  // a body may run again
    auto session = co_await store::use_refresh_token(tx, rotation->presented, rotation->now);
    if (!session) co_return session.error();
    if (session->has_value()) {
        rotation->next.row.session = **session;
        auto owner = co_await store::rotate(tx, rotation->next.row, rotation->now);
        if (!owner) co_return owner.error();
        rotation->owner = std::move(*owner);
        co_return Result<void>();
    }
    auto stolen = co_await store::session_of_used_token(tx, rotation->presented);
    if (!stolen) co_return stolen.error();
    if (!stolen->has_value()) co_return Result<void>();
    co_return co_await store::revoke_session(tx, **stolen, rotation->now);
}

}  // namespace

Task<Result<SignedIn>> refresh(Services& services, std::string refresh_token, Deadline deadline) {
    auto rotation = std::make_shared<Rotation>(services, sha256_hex(refresh_token));
    TransactionBody body = [rotation](Transaction& tx) { return rotate_or_revoke(tx, rotation); };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    if (!rotation->owner)
        co_return Error(
            ErrorKind::unauthenticated,
            "invalid_refresh_token",
            "The refresh token is not valid; sign in again."
        );
    co_return signed_in(services, std::move(*rotation->owner), std::move(rotation->next));
}

}  // namespace souk::user::app
