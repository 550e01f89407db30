#include "events/bus_store.hpp"

#include <utility>

namespace souk::events {
namespace {

constexpr Statement select_head{"bus.head", "SELECT COALESCE(MAX(seq), 0) FROM outbox"};
constexpr Statement insert_cursor{
    "bus.open_cursor",
    "INSERT INTO bus_cursor (consumer, seq) VALUES ($1, 0) ON CONFLICT DO NOTHING"};
constexpr Statement select_cursor{
    "bus.read_cursor", "SELECT seq FROM bus_cursor WHERE consumer = $1"};
// Writers of a cursor may overtake each other; it never goes back.
constexpr Statement update_cursor{
    "bus.save_cursor", "UPDATE bus_cursor SET seq = $2 WHERE consumer = $1 AND seq < $2"};
// Nearly always the whole batch is small enough, and one sum tells. Then the other need not run,
// which finds how many are: a sum for each row costs more than all the rest of reading.
constexpr Statement select_small_batch{
    "bus.read_small_batch",
    "SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at, 0, 0 "
    "FROM outbox WHERE seq > $1 AND (SELECT SUM(LENGTH(data)) "
    "      FROM (SELECT data FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2)) <= $3 "
    "ORDER BY seq LIMIT $2"};
constexpr Statement select_batch{
    "bus.read_batch",
    "SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at, 0, 0 "
    "FROM (SELECT *, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS before "
    "      FROM (SELECT * FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2)) "
    "WHERE before < $3 ORDER BY seq"};
// An event is due when no earlier one of its aggregate has to wait longer.
constexpr Statement select_due{
    "bus.read_due",
    "WITH blocked AS (SELECT aggregate_id, MIN(seq) AS first FROM bus_delivery "
    "      WHERE consumer = $1 AND dead_at IS NULL AND retry_at > $2 GROUP BY aggregate_id) "
    "SELECT o.seq, o.event_id, o.type, o.aggregate_id, o.version, o.data, o.traceparent, "
    "       o.occurred_at, d.attempts, d.gaps "
    "FROM bus_delivery d JOIN outbox o ON o.seq = d.seq "
    "LEFT JOIN blocked b ON b.aggregate_id = d.aggregate_id "
    "WHERE d.consumer = $1 AND d.dead_at IS NULL AND d.retry_at <= $2 "
    "AND (b.first IS NULL OR d.seq < b.first) ORDER BY d.seq LIMIT $3"};
// SQLite takes `retry_at` from the row that has the minimum.
constexpr Statement select_waiting{
    "bus.read_waiting",
    "SELECT aggregate_id, COUNT(*), MIN(seq), retry_at FROM bus_delivery "
    "WHERE consumer = $1 AND dead_at IS NULL GROUP BY aggregate_id"};
constexpr Statement delete_delivery{
    "bus.delete_delivery", "DELETE FROM bus_delivery WHERE consumer = $1 AND seq = $2"};
constexpr Statement upsert_delivery{
    "bus.upsert_delivery",
    "INSERT INTO bus_delivery (consumer, seq, event_id, aggregate_id, attempts, gaps, retry_at, "
    "                          last_error, dead_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
    "ON CONFLICT (consumer, seq) DO UPDATE SET attempts = excluded.attempts, "
    "gaps = excluded.gaps, retry_at = excluded.retry_at, last_error = excluded.last_error, "
    "dead_at = excluded.dead_at"};
constexpr Statement select_dead{
    "bus.read_dead",
    "SELECT o.seq, o.event_id, o.type, o.aggregate_id, o.version, o.data, o.traceparent, "
    "       o.occurred_at, d.attempts, d.gaps, d.consumer, d.last_error "
    "FROM bus_delivery d JOIN outbox o ON o.seq = d.seq "
    "WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at, d.seq LIMIT $1"};
constexpr Statement revive_dead{
    "bus.revive",
    "UPDATE bus_delivery SET dead_at = NULL, attempts = 0, gaps = 0, retry_at = 0 "
    "WHERE consumer = $1 AND event_id = $2 AND dead_at IS NOT NULL"};
constexpr Statement drop_dead{
    "bus.drop_dead",
    "DELETE FROM bus_delivery "
    "WHERE consumer = $1 AND event_id = $2 AND dead_at IS NOT NULL"};
// Numbers rise with time, so a page is looked at and the scan ends at the first young one.
constexpr Statement select_old{
    "bus.read_old",
    "SELECT seq, occurred_at FROM outbox WHERE seq > $1 "
    "AND seq <= (SELECT COALESCE(MIN(seq), 9223372036854775807) FROM bus_cursor) "
    "ORDER BY seq LIMIT $2"};
constexpr Statement delete_old{
    "bus.prune",
    "DELETE FROM outbox WHERE seq > $1 AND seq <= $2 AND occurred_at < $3 "
    "AND seq NOT IN (SELECT seq FROM bus_delivery "
    "                     WHERE seq > $1 AND seq <= $2)"};

constexpr seconds query_time{30};

Stored stored_from(const Rows::Row& row) {
    Stored stored;
    stored.seq = row.integer(0);
    stored.event.id = row.string(1);
    stored.event.type = row.string(2);
    stored.event.aggregate_id = row.string(3);
    stored.lane = stored.event.aggregate_id;  // one publisher alone
    stored.event.version = row.integer(4);
    stored.event.data = row.string(5);
    stored.event.traceparent = row.string(6);
    stored.event.time = row.time(7);
    stored.attempts = row.integer(8);
    stored.gaps = row.integer(9);
    return stored;
}

std::vector<Stored> all_stored(const Rows& rows) {
    std::vector<Stored> all;
    all.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        all.push_back(stored_from(rows[i]));
    return all;
}

Task<Result<void>> run_all(Transaction& tx, const Statement& statement, std::vector<Params> sets) {
    if (sets.empty()) co_return Result<void>();
    Result<std::vector<Rows>> done = co_await tx.execute_all(statement, std::move(sets));
    if (!done) co_return done.error();
    co_return Result<void>();
}

/// The statements of a settlement, made before the transaction: its body may run again.
struct Writes {
    Writes() = default;
    std::vector<Params> deleted;
    std::vector<Params> upserted;
    std::vector<Params> cursor;
};

Writes writes_of(const std::string& consumer, const Settlement& settlement, Timestamp now) {
    Writes writes;
    for (std::int64_t seq : settlement.delivered)
        writes.deleted.push_back(bind(consumer, seq));
    for (const Pending& row : settlement.pending) {
        std::optional<Timestamp> dead_at;
        if (row.dead) dead_at = now;
        writes.upserted.push_back(bind(
            consumer,
            row.seq,
            row.event_id,
            row.aggregate_id,
            row.attempts,
            row.gaps,
            row.retry_at,
            row.error,
            dead_at
        ));
    }
    writes.cursor.push_back(bind(consumer, settlement.cursor));
    return writes;
}

Task<Result<void>> write_all(Transaction& tx, std::shared_ptr<const Writes> writes) {
    Result<void> done = co_await run_all(tx, delete_delivery, writes->deleted);
    if (!done) co_return done;
    done = co_await run_all(tx, upsert_delivery, writes->upserted);
    if (!done) co_return done;
    co_return co_await run_all(tx, update_cursor, writes->cursor);
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

Task<Result<Rows>> BusStore::query(const Statement& statement, Params params) {
    Deadline deadline(clock_, query_time);
    return database_.query(statement, std::move(params), deadline);
}

Task<Result<std::int64_t>> BusStore::change(const Statement& statement, Params params) {
    auto affected = std::make_shared<std::int64_t>(0);
    TransactionBody body = [&statement, params = std::move(params), affected](Transaction& tx) {
        return run_one(tx, statement, params, affected);
    };
    Result<void> done = co_await transact(std::move(body));
    if (!done) co_return done.error();
    co_return *affected;
}

Task<Result<void>> BusStore::transact(TransactionBody body) {
    Deadline deadline(clock_, query_time);
    return database_.transact(std::move(body), deadline);
}

Task<Result<std::int64_t>> BusStore::head() {
    Result<Rows> rows = co_await query(select_head, Params());
    if (!rows) co_return rows.error();
    co_return (*rows)[0].integer(0);
}

Task<Result<std::int64_t>> BusStore::open_cursor(std::string consumer) {
    Result<std::int64_t> added = co_await change(insert_cursor, bind(consumer));
    if (!added) co_return added.error();
    Result<Rows> rows = co_await query(select_cursor, bind(consumer));
    if (!rows) co_return rows.error();
    co_return (*rows)[0].integer(0);
}

Task<Result<void>> BusStore::save_cursors(std::vector<Cursor> cursors) {
    auto writes = std::make_shared<Writes>();
    for (const Cursor& cursor : cursors)
        writes->cursor.push_back(bind(cursor.consumer, cursor.seq));
    TransactionBody body = [writes](Transaction& tx) { return write_all(tx, writes); };
    return transact(std::move(body));
}

Task<Result<std::vector<Stored>>> BusStore::read(
    std::int64_t after, std::int64_t count, std::int64_t bytes
) {
    Result<Rows> rows = co_await query(select_small_batch, bind(after, count, bytes));
    if (rows && rows->empty()) rows = co_await query(select_batch, bind(after, count, bytes));
    if (!rows) co_return rows.error();
    co_return all_stored(*rows);
}

Task<Result<std::vector<Stored>>> BusStore::due(
    std::string consumer, Timestamp now, std::int64_t count
) {
    Result<Rows> rows = co_await query(select_due, bind(consumer, now, count));
    if (!rows) co_return rows.error();
    co_return all_stored(*rows);
}

Task<Result<Waiting>> BusStore::waiting(std::string consumer) {
    Result<Rows> rows = co_await query(select_waiting, bind(consumer));
    if (!rows) co_return rows.error();
    Waiting waiting;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        waiting.lanes.insert((*rows)[i].string(0));
        waiting.rows += (*rows)[i].integer(1);
        waiting.due = std::min(waiting.due, (*rows)[i].time(3));
    }
    co_return waiting;
}

Task<Result<void>> BusStore::settle(std::string consumer, Settlement settlement) {
    auto writes = std::make_shared<const Writes>(writes_of(consumer, settlement, clock_.now()));
    TransactionBody body = [writes](Transaction& tx) { return write_all(tx, writes); };
    return transact(std::move(body));
}

Task<Result<std::vector<DeadLetter>>> BusStore::dead_letters(std::int64_t limit) {
    Result<Rows> rows = co_await query(select_dead, bind(limit));
    if (!rows) co_return rows.error();
    std::vector<DeadLetter> all;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        Stored stored = stored_from((*rows)[i]);
        DeadLetter dead;
        dead.consumer = (*rows)[i].string(10);
        dead.attempts = stored.attempts + stored.gaps;
        dead.last_error = (*rows)[i].string(11);
        dead.event = std::move(stored.event);
        all.push_back(std::move(dead));
    }
    co_return all;
}

Task<Result<bool>> BusStore::revive(std::string consumer, std::string event_id) {
    Result<std::int64_t> changed = co_await change(revive_dead, bind(consumer, event_id));
    if (!changed) co_return changed.error();
    co_return *changed > 0;
}

Task<Result<bool>> BusStore::drop(std::string consumer, std::string event_id) {
    Result<std::int64_t> changed = co_await change(drop_dead, bind(consumer, event_id));
    if (!changed) co_return changed.error();
    co_return *changed > 0;
}

Task<Result<std::int64_t>> BusStore::prune(
    Timestamp before, std::int64_t after, std::int64_t limit
) {
    Result<Rows> rows = co_await query(select_old, bind(after, limit));
    if (!rows) co_return rows.error();
    std::int64_t last = 0;
    for (std::size_t i = 0; i < rows->size(); ++i)
        if ((*rows)[i].time(1) < before) last = (*rows)[i].integer(0);
    if (last == 0) co_return last;
    Result<std::int64_t> deleted = co_await change(delete_old, bind(after, last, before));
    if (!deleted) co_return deleted.error();
    co_return last;
}

}  // namespace souk::events
