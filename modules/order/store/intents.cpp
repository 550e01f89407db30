#include "store/intents.hpp"

namespace souk::order::store {

namespace {

#define SOUK_CLAIM                                                                              \
    "INSERT INTO intents (caller, route, idempotency_key, body_hash, order_id, status, fence, " \
    "lease_until, answer_status, answer_body, created_at) "                                     \
    "VALUES ($1, $2, $3, $4, $5, 'open', 1, $6, 0, '', $7) "                                    \
    "ON CONFLICT (caller, route, idempotency_key) DO UPDATE "                                   \
    "SET lease_until = excluded.lease_until, fence = intents.fence + 1 "                        \
    "WHERE intents.status = 'open' AND intents.lease_until <= $7 "                              \
    "AND intents.body_hash = excluded.body_hash RETURNING order_id, fence"
constexpr Statement claim_sql{"order.claim_intent", SOUK_CLAIM};
// SQLite: nearly always the key is new, and a row that is returned costs a table of the moment.
constexpr Statement claim_new_sql{
    "order.claim_new_intent",
    "INSERT INTO intents (caller, route, idempotency_key, body_hash, order_id, status, fence, "
    "lease_until, answer_status, answer_body, created_at) "
    "VALUES ($1, $2, $3, $4, $5, 'open', 1, $6, 0, '', $7) "
    "ON CONFLICT (caller, route, idempotency_key) DO NOTHING"};
constexpr Statement claim_import_sql{
    "order.claim_import",
    SOUK_CLAIM
    ", (SELECT id FROM orders WHERE source = $8 AND external_ref = $9), "
    "(SELECT content_hash FROM orders WHERE source = $8 AND external_ref = $9)"};
#undef SOUK_CLAIM
// PostgreSQL alone: the same for many. What was claimed is known by the id that was brought or
// found.
constexpr Statement claim_many_sql{
    "order.claim_intents",
    "WITH r AS MATERIALIZED (SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), "
    "CAST($3 AS TEXT[]), CAST($4 AS TEXT[]), CAST($5 AS TEXT[]), CAST($6 AS BIGINT[]), "
    "CAST($7 AS BIGINT[]), CAST($8 AS TEXT[]), CAST($9 AS TEXT[])) WITH ORDINALITY AS r (caller, "
    "route, key, body_hash, order_id, lease_until, now, source, external_ref, place)), "
    "claimed AS (INSERT INTO intents (caller, route, idempotency_key, body_hash, order_id, status, "
    "fence, lease_until, answer_status, answer_body, created_at) "
    "SELECT r.caller, r.route, r.key, r.body_hash, r.order_id, 'open', 1, r.lease_until, 0, '', "
    "r.now FROM r ORDER BY r.place ON CONFLICT (caller, route, idempotency_key) DO UPDATE "
    "SET lease_until = excluded.lease_until, fence = intents.fence + 1 "
    "WHERE intents.status = 'open' AND intents.lease_until <= excluded.created_at "
    "AND intents.body_hash = excluded.body_hash "
    "RETURNING caller, route, idempotency_key, order_id, fence) "
    "SELECT r.place, c.order_id, c.fence, "
    "(SELECT id FROM orders o WHERE o.source = r.source AND o.external_ref = r.external_ref), "
    "(SELECT content_hash FROM orders o WHERE o.source = r.source "
    "AND o.external_ref = r.external_ref) "
    "FROM claimed c JOIN r ON r.caller = c.caller AND r.route = c.route "
    "AND r.key = c.idempotency_key"};
constexpr Statement find_sql{
    "order.find_intent",
    "SELECT body_hash, order_id, status, answer_status, answer_body, lease_until FROM intents "
    "WHERE caller = $1 AND route = $2 AND idempotency_key = $3"};
constexpr Statement finish_sql{
    "order.finish_intent",
    "UPDATE intents SET status = 'final', answer_status = $3, answer_body = $4 "
    "WHERE order_id = $1 AND fence = $2 AND status = 'open'"};
constexpr Statement reopen_sql{
    "order.reopen_intent",
    "UPDATE intents SET lease_until = $3 WHERE order_id = $1 AND fence = $2 AND status = 'open'"};
constexpr Statement drop_sql{
    "order.drop_intent",
    "DELETE FROM intents WHERE order_id = $1 AND fence = $2 AND status = 'open'"};
constexpr Statement abandoned_sql{
    "order.find_abandoned",
    "SELECT order_id, fence FROM intents WHERE status <> 'final' AND lease_until <= $2 "
    "AND lease_until <= CASE status WHEN 'dead' THEN $2 ELSE $1 END "
    "ORDER BY lease_until LIMIT $3"};
constexpr Statement kill_sql{
    "order.kill_intent",
    "UPDATE intents SET status = 'dead', fence = fence + 1, lease_until = $3 "
    "WHERE order_id = $1 AND fence = $2 AND status <> 'final' RETURNING fence"};
constexpr Statement drop_dead_sql{
    "order.drop_dead_intent", "DELETE FROM intents WHERE order_id = $1 AND status = 'dead'"};
constexpr Statement prune_sql{
    "order.prune_intents",
    "DELETE FROM intents WHERE order_id IN (SELECT order_id FROM intents "
    "WHERE status = 'final' AND created_at < $1 ORDER BY created_at LIMIT $2)",
    "DELETE FROM intents WHERE order_id = ANY (ARRAY(SELECT order_id FROM intents "
    "WHERE status = 'final' AND created_at < $1 ORDER BY created_at LIMIT $2 "
    "FOR UPDATE SKIP LOCKED))"};
constexpr Statement audit_sql{
    "order.audit_intents",
    "SELECT order_id, status, lease_until FROM intents WHERE status <> 'final' AND order_id > $1 "
    "ORDER BY order_id LIMIT $2"};

Task<Result<void>> run_alone(Transaction& tx, const Statement& statement, Params params) {
    auto rows = co_await tx.execute_last(statement, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

}  // namespace

Task<Result<std::vector<std::optional<Claimed>>>> claim_intents(
    Transaction& tx, const std::vector<IntentRequest>& requests
) {
    std::vector<Value> columns[9];
    for (const IntentRequest& r : requests) {
        Params row = bind(r.caller, r.route, r.key, r.body_hash, r.order_id, r.lease_until, r.now);
        row.resize(9);
        if (r.import) row[7] = r.import->source;
        if (r.import) row[8] = r.import->external_ref;
        for (std::size_t i = 0; i < row.size(); ++i)
            columns[i].push_back(std::move(row[i]));
    }
    Params params;
    for (const auto& column : columns)
        params.emplace_back(array_text(column));
    auto rows = co_await tx.execute_last(claim_many_sql, std::move(params));
    if (!rows) co_return rows.error();
    std::vector<std::optional<Claimed>> all(requests.size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const auto row = (*rows)[i];
        Claimed& claimed = all.at(static_cast<std::size_t>(row.integer(0)) - 1).emplace();
        claimed.lease.order_id = row.string(1);
        claimed.lease.fence = row.integer(2);
        if (row.is_null(3)) continue;
        claimed.duplicate.emplace();
        claimed.duplicate->order_id = row.string(3);
        claimed.duplicate->content_hash = row.string(4);
    }
    co_return all;
}

Task<Result<std::optional<Claimed>>> claim_intent(Transaction& tx, IntentRequest r) {
    Params params = bind(r.caller, r.route, r.key, r.body_hash, r.order_id, r.lease_until, r.now);
    if (!r.import && tx.dialect() == Dialect::sqlite) {
        auto inserted = co_await tx.execute(claim_new_sql, params);
        if (!inserted) co_return inserted.error();
        if (inserted->affected() == 1) {
            std::optional<Claimed> claimed;
            claimed.emplace();
            claimed->lease.order_id = std::move(r.order_id);
            claimed->lease.fence = 1;
            co_return claimed;
        }
    }
    if (r.import) {
        params.emplace_back(r.import->source);
        params.emplace_back(r.import->external_ref);
    }
    const Statement& statement = r.import ? claim_import_sql : claim_sql;
    auto rows = co_await tx.execute_last(statement, std::move(params));
    if (!rows) co_return rows.error();
    std::optional<Claimed> claimed;
    if (rows->empty()) co_return claimed;
    const auto row = (*rows)[0];
    claimed.emplace();
    claimed->lease.order_id = row.string(0);
    claimed->lease.fence = row.integer(1);
    if (!r.import || row.is_null(2)) co_return claimed;
    claimed->duplicate.emplace();
    claimed->duplicate->order_id = row.string(2);
    claimed->duplicate->content_hash = row.string(3);
    co_return claimed;
}

Task<Result<std::optional<StoredIntent>>> find_intent(
    Database& database, std::string caller, std::string route, std::string key, Deadline deadline
) {
    Params params = bind(std::move(caller), std::move(route), std::move(key));
    auto rows = co_await database.query(find_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::optional<StoredIntent> intent;
    if (rows->empty()) co_return intent;
    const auto row = (*rows)[0];
    intent.emplace();
    intent->body_hash = row.string(0);
    intent->order_id = row.string(1);
    intent->final = row.text(2) == "final";
    intent->answer_status = static_cast<int>(row.integer(3));
    intent->answer_body = row.string(4);
    intent->lease_until = row.time(5);
    co_return intent;
}

Task<Result<bool>> finish_intent(Transaction& tx, Lease lease, int status, std::string body) {
    Params params = bind(std::move(lease.order_id), lease.fence, status, std::move(body));
    auto rows = co_await tx.execute(finish_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected() == 1;
}

Task<Result<void>> reopen_intent(Transaction& tx, Lease lease, Timestamp now) {
    return run_alone(tx, reopen_sql, bind(std::move(lease.order_id), lease.fence, now));
}

Task<Result<void>> drop_intent(Transaction& tx, Lease lease) {
    return run_alone(tx, drop_sql, bind(std::move(lease.order_id), lease.fence));
}

Task<Result<std::vector<Lease>>> find_abandoned(
    Database& database, Timestamp before, Timestamp now, std::size_t limit, Deadline deadline
) {
    Params params = bind(before, now, limit);
    auto rows = co_await database.query(abandoned_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::vector<Lease> leases(rows->size());
    for (std::size_t i = 0; i < leases.size(); ++i) {
        leases[i].order_id = (*rows)[i].string(0);
        leases[i].fence = (*rows)[i].integer(1);
    }
    co_return leases;
}

Task<Result<std::vector<Lease>>> kill_intents(
    Transaction& tx, std::vector<Lease> abandoned, Timestamp lease_until
) {
    std::vector<Params> params;
    for (const Lease& lease : abandoned)
        params.push_back(bind(lease.order_id, lease.fence, lease_until));
    auto killed = co_await tx.execute_all(kill_sql, std::move(params));
    if (!killed) co_return killed.error();
    std::vector<Lease> dead;
    for (std::size_t i = 0; i < abandoned.size(); ++i) {
        const Rows& row = (*killed)[i];
        if (row.empty()) continue;
        dead.push_back(abandoned[i]);
        dead.back().fence = row[0].integer(0);
    }
    co_return dead;
}

Task<Result<void>> drop_intents(Transaction& tx, std::vector<Lease> dead) {
    std::vector<Params> params;
    for (const Lease& lease : dead)
        params.push_back(bind(lease.order_id));
    auto dropped = co_await tx.execute_all(drop_dead_sql, std::move(params));
    if (!dropped) co_return dropped.error();
    co_return Result<void>();
}

Task<Result<std::int64_t>> prune_intents(Transaction& tx, Timestamp before, std::size_t limit) {
    Params params = bind(before, limit);
    auto rows = co_await tx.execute(prune_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected();
}

Task<Result<std::vector<UnfinishedIntent>>> audit_intents(
    Database& database, std::string after_order, std::size_t limit, Deadline deadline
) {
    Params params = bind(std::move(after_order), limit);
    auto rows = co_await database.query(audit_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::vector<UnfinishedIntent> out(rows->size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i].order_id = (*rows)[i].string(0);
        out[i].status = (*rows)[i].string(1);
        out[i].lease_until = (*rows)[i].time(2);
    }
    co_return out;
}

}  // namespace souk::order::store
