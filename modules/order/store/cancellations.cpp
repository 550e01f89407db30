#include "store/cancellations.hpp"

namespace souk::order::store {

namespace {

constexpr Statement find_sql{
    "order.find_cancel_request",
    "SELECT request_hash, answer FROM cancel_requests WHERE caller = $1 AND idempotency_key = $2"};
constexpr Statement insert_sql{
    "order.insert_cancel_request",
    "INSERT INTO cancel_requests (caller, idempotency_key, request_hash, answer, created_at) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (caller, idempotency_key) DO NOTHING"};
constexpr Statement prune_sql{
    "order.prune_cancel_requests",
    "DELETE FROM cancel_requests WHERE (caller, idempotency_key) IN "
    "(SELECT caller, idempotency_key FROM cancel_requests WHERE created_at < $1 "
    "ORDER BY created_at LIMIT $2)",
    "DELETE FROM cancel_requests WHERE ctid = ANY (ARRAY(SELECT ctid FROM cancel_requests "
    "WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))"};

}  // namespace

Task<Result<std::optional<CancelRequest>>> find_cancel_request(
    Database& database, std::string caller, std::string key, Deadline deadline
) {
    Params params = bind(caller, key);
    auto rows = co_await database.query(find_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::optional<CancelRequest> request;
    if (rows->empty()) co_return request;
    request.emplace();
    request->caller = std::move(caller);
    request->key = std::move(key);
    request->request_hash = (*rows)[0].string(0);
    request->answer = (*rows)[0].string(1);
    co_return request;
}

Task<Result<bool>> insert_cancel_request(Transaction& tx, CancelRequest r, Timestamp now) {
    Params params = bind(r.caller, r.key, r.request_hash, r.answer, now);
    auto rows = co_await tx.execute(insert_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected() == 1;
}

Task<Result<std::int64_t>> prune_cancel_requests(
    Transaction& tx, Timestamp before, std::size_t limit
) {
    Params params = bind(before, limit);
    auto rows = co_await tx.execute(prune_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected();
}

}  // namespace souk::order::store
