#include "events/lease.hpp"

#include <memory>
#include <utility>

namespace souk::events {
namespace {

constexpr Statement take_lease{
    "lease.take",
    "INSERT INTO bus_lease (name, owner, fence, expires_at) VALUES ($1, $2, 1, $4) "
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at, "
    "fence = bus_lease.fence + CASE WHEN bus_lease.owner = excluded.owner THEN 0 ELSE 1 END "
    "WHERE bus_lease.owner = excluded.owner OR bus_lease.expires_at <= $3 RETURNING fence"};
constexpr Statement end_lease{
    "lease.end",
    "UPDATE bus_lease SET expires_at = 0 WHERE name = $1 AND owner = $2 AND fence = $3"};

constexpr seconds query_time{10};

Task<Result<void>> take(Transaction& tx, Params params, std::shared_ptr<std::int64_t> fence) {
    Result<Rows> rows = co_await tx.execute_last(take_lease, std::move(params));
    if (!rows) co_return rows.error();
    *fence = rows->empty() ? 0 : (*rows)[0].integer(0);
    co_return Result<void>();
}

Task<Result<void>> end(Transaction& tx, Params params) {
    Result<Rows> done = co_await tx.execute_last(end_lease, std::move(params));
    if (!done) co_return done.error();
    co_return Result<void>();
}

}  // namespace

Lease::Lease(
    Database& database,
    const Clock& clock,
    std::string name,
    std::string owner,
    milliseconds duration
)
    : database_(database)
    , clock_(clock)
    , name_(std::move(name))
    , owner_(std::move(owner))
    , duration_(duration) {}

Task<Result<bool>> Lease::hold() {
    if (held()) co_return true;
    const Timestamp now = clock_.now();
    const Timestamp until = now + duration_;
    auto fence = std::make_shared<std::int64_t>(0);
    Params params = bind(name_, owner_, now, until);
    TransactionBody body = [params, fence](Transaction& tx) { return take(tx, params, fence); };
    Deadline deadline(clock_, query_time);
    Result<void> done = co_await database_.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    if (*fence == 0) co_return false;
    fence_ = *fence;
    expires_at_ = until;
    co_return true;
}

Task<Result<void>> Lease::give_back() {
    if (expires_at_ == Timestamp()) co_return Result<void>();
    forget();
    Params params = bind(name_, owner_, fence_);
    TransactionBody body = [params](Transaction& tx) { return end(tx, params); };
    Deadline deadline(clock_, query_time);
    co_return co_await database_.transact(std::move(body), deadline);
}

}  // namespace souk::events
