#include "events/rabbitmq/relay_store.hpp"

#include <memory>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr Statement select_unsent{
    "relay.unsent",
    "SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at "
    "FROM (SELECT o.*, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS bytes_before "
    "      FROM (SELECT * FROM outbox WHERE sent_at IS NULL ORDER BY seq LIMIT $1) o) b "
    "WHERE bytes_before < $2 ORDER BY seq"};
constexpr Statement select_sent{
    "relay.sent",
    "SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at "
    "FROM (SELECT o.*, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS bytes_before "
    "      FROM (SELECT * FROM outbox WHERE sent_at IS NOT NULL AND seq > $1 "
    "            ORDER BY seq LIMIT $2) o) b "
    "WHERE bytes_before < $3 ORDER BY seq"};
// One statement for many rows; the fence refuses a relay that has lost its lease.
constexpr Statement mark{
    "relay.mark_sent",
    "UPDATE outbox SET sent_at = $1 WHERE seq IN (SELECT value FROM json_each($2)) "
    "AND EXISTS (SELECT 1 FROM bus_lease WHERE name = $3 AND owner = $4 AND fence = $5)",
    "UPDATE outbox SET sent_at = $1 WHERE seq = ANY (CAST($2 AS BIGINT[])) "
    "AND EXISTS (SELECT 1 FROM bus_lease WHERE name = $3 AND owner = $4 AND fence = $5)"};
constexpr Statement select_listeners{"relay.listeners", "SELECT consumer FROM bus_listener"};
constexpr Statement insert_listener{
    "relay.add_listener", "INSERT INTO bus_listener (consumer) VALUES ($1) ON CONFLICT DO NOTHING"};
constexpr Statement delete_listener{
    "relay.forget_listener", "DELETE FROM bus_listener WHERE consumer = $1"};
constexpr Statement delete_sent{
    "relay.prune",
    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox "
    "WHERE sent_at IS NOT NULL AND occurred_at < $1 ORDER BY seq LIMIT $2)"};

constexpr seconds query_time{30};

std::vector<Stored> all_stored(const Rows& rows) {
    std::vector<Stored> all(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Stored& stored = all[i];
        stored.seq = rows[i].integer(0);
        stored.event.id = rows[i].string(1);
        stored.event.type = rows[i].string(2);
        stored.event.aggregate_id = rows[i].string(3);
        stored.event.version = rows[i].integer(4);
        stored.event.data = rows[i].string(5);
        stored.event.traceparent = rows[i].string(6);
        stored.event.time = rows[i].time(7);
    }
    return all;
}

/// An array of PostgreSQL's, or of JSON.
std::string list_text(const std::vector<std::int64_t>& numbers, Dialect dialect) {
    std::string text = dialect == Dialect::postgres ? "{" : "[";
    for (std::int64_t number : numbers) {
        if (text.size() > 1) text += ',';
        text += std::to_string(number);
    }
    return text + (dialect == Dialect::postgres ? '}' : ']');
}

Task<Result<void>> run_one(
    Transaction& tx,
    const Statement& statement,
    Params params,
    std::shared_ptr<std::int64_t> affected
) {
    Result<Rows> done = co_await tx.execute_last(statement, std::move(params));
    if (!done) co_return done.error();
    *affected = done->affected();
    co_return Result<void>();
}

}  // namespace

Task<Result<Rows>> RelayStore::query(const Statement& statement, Params params) {
    Deadline deadline(clock_, query_time);
    return database_.query(statement, std::move(params), deadline);
}

Task<Result<std::int64_t>> RelayStore::change(const Statement& statement, Params params) {
    auto affected = std::make_shared<std::int64_t>(0);
    TransactionBody body = [&statement, params = std::move(params), affected](Transaction& tx) {
        return run_one(tx, statement, params, affected);
    };
    Deadline deadline(clock_, query_time);
    Result<void> done = co_await database_.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return *affected;
}

Task<Result<std::vector<Stored>>> RelayStore::unsent(std::int64_t count) {
    Params params = bind(count, batch_bytes);
    Result<Rows> rows = co_await query(select_unsent, std::move(params));
    if (!rows) co_return rows.error();
    co_return all_stored(*rows);
}

Task<Result<std::vector<Stored>>> RelayStore::sent(std::int64_t after, std::int64_t count) {
    Params params = bind(after, count, batch_bytes);
    Result<Rows> rows = co_await query(select_sent, std::move(params));
    if (!rows) co_return rows.error();
    co_return all_stored(*rows);
}

Task<Result<bool>> RelayStore::mark_sent(std::vector<std::int64_t> seqs, const Lease& lease) {
    if (seqs.empty()) co_return true;
    std::string list = list_text(seqs, database_.dialect());
    Params params = bind(clock_.now(), list, lease.name(), lease.owner(), lease.fence());
    Result<std::int64_t> marked = co_await change(mark, std::move(params));
    if (!marked) co_return marked.error();
    co_return *marked > 0;
}

Task<Result<std::set<std::string>>> RelayStore::listeners() {
    Result<Rows> rows = co_await query(select_listeners, Params());
    if (!rows) co_return rows.error();
    std::set<std::string> all;
    for (std::size_t i = 0; i < rows->size(); ++i)
        all.insert((*rows)[i].string(0));
    co_return all;
}

Task<Result<void>> RelayStore::add_listener(std::string consumer) {
    Params params = bind(consumer);
    Result<std::int64_t> added = co_await change(insert_listener, std::move(params));
    if (!added) co_return added.error();
    co_return Result<void>();
}

Task<Result<void>> RelayStore::forget_listener(std::string consumer) {
    Params params = bind(consumer);
    Result<std::int64_t> deleted = co_await change(delete_listener, std::move(params));
    if (!deleted) co_return deleted.error();
    co_return Result<void>();
}

Task<Result<std::int64_t>> RelayStore::prune(Timestamp before, std::int64_t limit) {
    Params params = bind(before, limit);
    return change(delete_sent, std::move(params));
}

}  // namespace souk::events::rabbitmq
