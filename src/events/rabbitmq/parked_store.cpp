#include "events/rabbitmq/parked_store.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr Statement select_waiting{
    "parked.waiting",
    "SELECT p.lane, g.n, p.retry_at "
    "FROM (SELECT COUNT(*) AS n, MIN(position) AS first_position "
    "      FROM bus_parked WHERE consumer = $1 GROUP BY lane) g "
    "JOIN bus_parked p ON p.position = g.first_position"};
constexpr Statement insert_parked{
    "parked.insert",
    "INSERT INTO bus_parked (consumer, lane, event_id, type, aggregate_id, version, data, "
    "traceparent, "
    "                        occurred_at, attempts, gaps, retry_at, last_error) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"};
// An event is due when no earlier one of its lane has to wait longer.
constexpr Statement select_due{
    "parked.due",
    "WITH blocked AS (SELECT lane, MIN(position) AS first_position FROM bus_parked "
    "      WHERE consumer = $1 AND retry_at > $2 GROUP BY lane) "
    "SELECT p.position, p.event_id, p.type, p.aggregate_id, p.version, p.data, p.traceparent, "
    "       p.occurred_at, p.attempts, p.gaps, p.last_error, p.lane "
    "FROM bus_parked p LEFT JOIN blocked b ON b.lane = p.lane "
    "WHERE p.consumer = $1 AND p.retry_at <= $2 "
    "AND (b.first_position IS NULL OR p.position < b.first_position) "
    "ORDER BY p.position LIMIT $3"};
constexpr Statement delete_parked{"parked.delete", "DELETE FROM bus_parked WHERE position = $1"};
// Never brings a row back that another process is through with.
constexpr Statement update_parked{
    "parked.update",
    "UPDATE bus_parked SET attempts = $2, gaps = $3, retry_at = $4, last_error = $5 "
    "WHERE position = $1"};

// Locked, so that the lease cannot change hands before the commit.
constexpr Statement select_lease{
    "parked.lease",
    "SELECT fence FROM bus_lease WHERE name = $1 AND owner = $2 AND fence = $3",
    "SELECT fence FROM bus_lease WHERE name = $1 AND owner = $2 AND fence = $3 FOR SHARE"};

constexpr seconds query_time{30};

using Sets = std::vector<Params>;

/// One that has had its last try is buried at once.
Timestamp retry_at(const Pending& row) {
    return row.dead ? Timestamp() : row.retry_at;
}

Task<Result<void>> run_all(Transaction& tx, const Statement& statement, std::vector<Params> sets) {
    if (sets.empty()) co_return Result<void>();
    Result<std::vector<Rows>> done = co_await tx.execute_all(statement, std::move(sets));
    if (!done) co_return done.error();
    co_return Result<void>();
}

Task<Result<void>> insert(Transaction& tx, std::shared_ptr<const Sets> rows) {
    return run_all(tx, insert_parked, *rows);
}

/// What a pass came to.
struct Outcome {
    Sets deleted;
    Sets updated;
    Params lease;
    bool written = false;
};

Task<Result<void>> write(Transaction& tx, std::shared_ptr<Outcome> outcome) {
    Result<Rows> held = co_await tx.execute(select_lease, outcome->lease);
    if (!held) co_return held.error();
    outcome->written = !held->empty();
    if (held->empty()) co_return Result<void>();
    Result<void> done = co_await run_all(tx, delete_parked, outcome->deleted);
    if (!done) co_return done;
    co_return co_await run_all(tx, update_parked, outcome->updated);
}

}  // namespace

Task<Result<Rows>> ParkedStore::query(const Statement& statement, Params params) {
    Deadline deadline(clock_, query_time);
    return database_.query(statement, std::move(params), deadline);
}

Task<Result<void>> ParkedStore::transact(TransactionBody body) {
    Deadline deadline(clock_, query_time);
    return database_.transact(std::move(body), deadline);
}

Task<Result<Waiting>> ParkedStore::waiting() {
    Params params = bind(consumer_);
    Result<Rows> rows = co_await query(select_waiting, std::move(params));
    if (!rows) co_return rows.error();
    Waiting waiting;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        waiting.lanes.insert((*rows)[i].string(0));
        waiting.rows += (*rows)[i].integer(1);
        waiting.due = std::min(waiting.due, (*rows)[i].time(2));
    }
    co_return waiting;
}

Task<Result<void>> ParkedStore::park(std::vector<Parked> events) {
    auto rows = std::make_shared<Sets>();
    for (const Parked& parked : events)
        rows->push_back(bind(
            consumer_,
            parked.state.lane,
            parked.event.id,
            parked.event.type,
            parked.event.aggregate_id,
            parked.event.version,
            parked.event.data,
            parked.event.traceparent,
            parked.event.time,
            parked.state.attempts,
            parked.state.gaps,
            retry_at(parked.state),
            parked.state.error
        ));
    TransactionBody body = [rows](Transaction& tx) { return insert(tx, rows); };
    return transact(std::move(body));
}

Task<Result<std::vector<Stored>>> ParkedStore::due(Timestamp now, std::int64_t count) {
    Params params = bind(consumer_, now, count);
    Result<Rows> rows = co_await query(select_due, std::move(params));
    if (!rows) co_return rows.error();
    std::vector<Stored> all(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        Rows::Row row = (*rows)[i];
        Stored& stored = all[i];
        stored.seq = row.integer(0);
        stored.event.id = row.string(1);
        stored.event.type = row.string(2);
        stored.event.aggregate_id = row.string(3);
        stored.event.version = row.integer(4);
        stored.event.data = row.string(5);
        stored.event.traceparent = row.string(6);
        stored.event.time = row.time(7);
        stored.attempts = row.integer(8);
        stored.gaps = row.integer(9);
        stored.last_error = row.string(10);
        stored.lane = row.string(11);
    }
    co_return all;
}

Task<Result<bool>> ParkedStore::settle(
    std::vector<std::int64_t> done, std::vector<Pending> failed, const Lease& lease
) {
    auto outcome = std::make_shared<Outcome>();
    outcome->lease = bind(lease.name(), lease.owner(), lease.fence());
    for (std::int64_t position : done)
        outcome->deleted.push_back(bind(position));
    for (const Pending& row : failed)
        outcome->updated.push_back(bind(row.seq, row.attempts, row.gaps, retry_at(row), row.error));
    TransactionBody body = [outcome](Transaction& tx) { return write(tx, outcome); };
    Result<void> settled = co_await transact(std::move(body));
    if (!settled) co_return settled.error();
    co_return outcome->written;
}

}  // namespace souk::events::rabbitmq
