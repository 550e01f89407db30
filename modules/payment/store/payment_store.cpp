#include "store/payment_store.hpp"

#include "souk/long_query.hpp"

namespace souk::payment::store {

namespace {

inline constexpr Statement lock_fence_sql{
    .name = "payment.lock_fence",
    .sql =
        "INSERT INTO fences (order_id, raised) VALUES ($1, 0) "
        "ON CONFLICT (order_id) DO UPDATE SET raised = fences.raised RETURNING raised"};
// SQLite, where one writes at a time: nearly always it is the first to speak of the order.
inline constexpr Statement insert_fence_sql{
    .name = "payment.insert_fence",
    .sql =
        "INSERT INTO fences (order_id, raised) VALUES ($1, 0) ON CONFLICT (order_id) DO NOTHING"};
inline constexpr Statement raise_fence_sql{
    .name = "payment.raise_fence",
    .sql =
        "INSERT INTO fences (order_id, raised) VALUES ($1, 1) "
        "ON CONFLICT (order_id) DO UPDATE SET raised = 1"};
// Locked whatever it says: a condition on `raised` would be tested before the lock.
inline constexpr Statement hold_fences_sql{
    .name = "payment.hold_fences",
    .sql = "SELECT order_id, raised FROM fences WHERE order_id = $1",
    .postgres =
        "SELECT order_id, raised FROM fences WHERE order_id = ANY (CAST($1 AS TEXT[])) "
        "ORDER BY order_id FOR SHARE"};
// PostgreSQL alone: fences, payments and attempts of many orders. A raised fence makes a payment
// voided, and no attempt.
inline constexpr Statement accept_sql{
    .name = "payment.accept",
    .sql =
        "WITH r AS (SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), "
        "CAST($3 AS TEXT[]), CAST($4 AS BIGINT[]), CAST($5 AS TEXT[]), CAST($6 AS TEXT[]), "
        "CAST($7 AS TEXT[]), CAST($8 AS BIGINT[])) "
        "AS r (order_id, payment_id, user_id, amount, currency, attempt_id, token, now)), "
        "f AS (INSERT INTO fences (order_id, raised) SELECT order_id, 0 FROM r "
        "ON CONFLICT (order_id) DO UPDATE SET raised = fences.raised RETURNING order_id, raised), "
        "p AS (INSERT INTO payments (id, order_id, user_id, amount, currency, status, version, "
        "created_at, updated_at) SELECT r.payment_id, r.order_id, r.user_id, r.amount, "
        "r.currency, CASE f.raised WHEN 0 THEN 'pending' ELSE 'voided' END, 0, r.now, r.now "
        "FROM r JOIN f ON f.order_id = r.order_id ON CONFLICT (order_id) DO NOTHING "
        "RETURNING id, status) "
        "INSERT INTO attempts (id, payment_id, order_id, operation, charge_id, token, amount, "
        "currency, status, tries, next_at, created_at) SELECT r.attempt_id, r.payment_id, "
        "r.order_id, 'charge', '', r.token, r.amount, r.currency, 'queued', 0, r.now, r.now "
        "FROM r JOIN p ON p.id = r.payment_id WHERE p.status = 'pending'"};

inline constexpr Statement insert_payment_sql{
    .name = "payment.insert_payment",
    .sql =
        "INSERT INTO payments (id, order_id, user_id, amount, currency, status, reason, version, "
        "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) "
        "ON CONFLICT (order_id) DO NOTHING"};
inline constexpr Statement find_by_order_sql{
    .name = "payment.find_by_order",
    .sql =
        "SELECT id, order_id, user_id, status, reason, amount, currency, version, created_at, "
        "updated_at FROM payments WHERE order_id = $1"};
inline constexpr Statement get_payment_sql{
    .name = "payment.get_payment",
    .sql =
        "SELECT id, order_id, user_id, status, reason, amount, currency, version, created_at, "
        "updated_at FROM payments WHERE id = $1"};
inline constexpr Statement list_payments_sql{
    .name = "payment.list_payments",
    .sql =
        "SELECT id, order_id, user_id, status, reason, amount, currency, version, created_at, "
        "updated_at FROM payments WHERE order_id > $1 ORDER BY order_id LIMIT $2"};
inline constexpr Statement void_payment_sql{
    .name = "payment.void_payment",
    .sql =
        "UPDATE payments SET status = 'voided', updated_at = $2 "
        "WHERE id = $1 AND status = 'pending'"};
inline constexpr Statement decline_payment_sql{
    .name = "payment.decline_payment",
    .sql =
        "UPDATE payments SET status = 'declined', reason = $2, version = version + 1, "
        "updated_at = $3 WHERE id = $1 AND status = 'pending'"};
inline constexpr Statement capture_payments_sql{
    .name = "payment.capture_payments",
    .sql =
        "UPDATE payments SET status = 'captured', version = version + 1, updated_at = $2 "
        "WHERE id = $1 AND status = 'pending'",
    .postgres =
        "UPDATE payments p SET status = 'captured', version = version + 1, updated_at = r.now "
        "FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])) AS r (id, now) "
        "WHERE p.id = r.id AND p.status = 'pending' RETURNING p.id"};
inline constexpr Statement give_back_payment_sql{
    .name = "payment.give_back_payment",
    .sql =
        "UPDATE payments SET status = 'refunding', updated_at = $2 "
        "WHERE id = $1 AND status = 'pending'"};
inline constexpr Statement refund_payment_sql{
    .name = "payment.refund_payment",
    .sql =
        "UPDATE payments SET status = 'refunded', version = version + 1, updated_at = $2 "
        "WHERE id = $1 AND status = 'refunding' RETURNING version"};

inline constexpr Statement insert_attempt_sql{
    .name = "payment.insert_attempt",
    .sql =
        "INSERT INTO attempts (id, payment_id, order_id, operation, charge_id, token, amount, "
        "currency, status, tries, next_at, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', 0, $9, $9)"};
inline constexpr Statement claim_attempts_sql{
    .name = "payment.claim_attempts",
    .sql =
        "UPDATE attempts SET status = 'sent', tries = tries + 1, next_at = $2 WHERE id IN "
        "(SELECT id FROM attempts WHERE status IN ('queued', 'sent') AND next_at <= $1 "
        "ORDER BY next_at LIMIT $3) "
        "RETURNING id, payment_id, order_id, operation, charge_id, token, amount, currency, tries",
    .postgres =
        "UPDATE attempts SET status = 'sent', tries = tries + 1, next_at = $2 WHERE id = ANY (ARRAY"
        "(SELECT id FROM attempts WHERE status IN ('queued', 'sent') AND next_at <= $1 "
        "ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED)) "
        "RETURNING id, payment_id, order_id, operation, charge_id, token, amount, currency, tries"};
inline constexpr Statement settle_attempts_sql{
    .name = "payment.settle_attempts",
    .sql = "UPDATE attempts SET status = $2 WHERE id = $1 AND status = 'sent'",
    .postgres =
        "UPDATE attempts a SET status = r.status FROM (SELECT l.id, w.status FROM attempts l "
        "JOIN unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[])) AS w (id, status) ON w.id = l.id "
        "WHERE l.status = 'sent' ORDER BY l.id FOR NO KEY UPDATE OF l) r "
        "WHERE a.id = r.id AND a.status = 'sent' RETURNING a.id"};
inline constexpr Statement void_attempt_sql{
    .name = "payment.void_attempt",
    .sql =
        "UPDATE attempts SET status = 'voided' "
        "WHERE payment_id = $1 AND operation = 'charge' AND status = 'queued'"};
inline constexpr Statement reschedule_attempt_sql{
    .name = "payment.reschedule_attempt",
    .sql = "UPDATE attempts SET next_at = $3 WHERE id = $1 AND status = 'sent' AND tries = $2"};

inline constexpr Statement insert_entries_sql{
    .name = "payment.insert_entries",
    .sql =
        "INSERT INTO ledger_entries (set_id, account, amount, currency, order_id, created_at) "
        "VALUES ($1, $2, $3, $6, $7, $8), ($1, $4, $5, $6, $7, $8)",
    .postgres =
        "INSERT INTO ledger_entries (set_id, account, amount, currency, order_id, created_at) "
        "SELECT r.set_id, v.account, v.amount, r.currency, r.order_id, r.now "
        "FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]), "
        "CAST($4 AS TEXT[]), CAST($5 AS BIGINT[]), CAST($6 AS TEXT[]), CAST($7 AS TEXT[]), "
        "CAST($8 AS BIGINT[])) "
        "AS r (set_id, account, amount, other_account, other_amount, currency, order_id, now), "
        "LATERAL (VALUES (r.account, r.amount), (r.other_account, r.other_amount)) "
        "AS v (account, amount)"};
inline constexpr Statement close_set_sql{
    .name = "payment.close_set",
    .sql = "INSERT INTO ledger_sets (id, attempt_id, created_at) VALUES ($1, $2, $3)",
    .postgres =
        "INSERT INTO ledger_sets (id, attempt_id, created_at) "
        "SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]))"};
inline constexpr Statement sum_ledger_sql{
    .name = "payment.sum_ledger",
    .sql =
        "SELECT currency, CAST(SUM(amount) AS BIGINT), COUNT(*) FROM ledger_entries "
        "GROUP BY currency ORDER BY currency"};

Payment to_payment(const Rows::Row& row) {
    Money total(row.integer(5), Currency::parse(row.text(6)).value());
    Payment payment(
        row.string(0), row.string(1), row.string(2), row.string(3), row.string(4), total
    );
    payment.version = row.integer(7);
    payment.created_at = row.time(8);
    payment.updated_at = row.time(9);
    return payment;
}

Result<std::optional<Payment>> to_optional_payment(const Result<Rows>& rows) {
    if (!rows) return rows.error();
    std::optional<Payment> payment;
    if (!rows->empty()) payment.emplace(to_payment((*rows)[0]));
    return payment;
}

Attempt to_attempt(const Rows::Row& row) {
    Money total(row.integer(6), Currency::parse(row.text(7)).value());
    Attempt attempt(
        row.string(0),
        row.string(1),
        row.string(2),
        row.string(3),
        row.string(4),
        row.string(5),
        total
    );
    attempt.tries = row.integer(8);
    return attempt;
}

Task<Result<void>> run(Transaction& tx, const Statement& statement, Params params) {
    auto rows = co_await tx.execute(statement, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<void>> run_alone(Transaction& tx, const Statement& statement, Params params) {
    auto rows = co_await tx.execute_last(statement, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

/// The ids that the statement returns. On SQLite, where returning one costs a table of the moment,
/// it returns none: those, $1 of their rows, for which it took effect.
Task<Result<Ids>> run_set(Transaction& tx, const Statement& statement, std::vector<Params> params) {
    Ids ids;
    if (tx.dialect() == Dialect::sqlite) {
        auto done = co_await tx.execute_all(statement, params);
        if (!done) co_return done.error();
        for (std::size_t i = 0; i < params.size(); ++i)
            if ((*done)[i].affected() > 0) ids.insert(std::get<std::string>(params[i][0]));
        co_return ids;
    }
    auto rows = co_await tx.execute_set(statement, std::move(params));
    if (!rows) co_return rows.error();
    for (std::size_t i = 0; i < rows->size(); ++i)
        ids.insert((*rows)[i].string(0));
    co_return ids;
}

Task<Result<bool>> run_guarded(Transaction& tx, const Statement& statement, Params params) {
    auto rows = co_await tx.execute(statement, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected() == 1;
}

}  // namespace

Task<Result<bool>> lock_fence(Transaction& tx, std::string order_id) {
    if (tx.dialect() == Dialect::sqlite) {
        auto inserted = co_await run_guarded(tx, insert_fence_sql, bind(order_id));
        if (!inserted) co_return inserted.error();
        if (*inserted) co_return false;
    }
    auto rows = co_await tx.execute(lock_fence_sql, bind(order_id));
    if (!rows) co_return rows.error();
    co_return (*rows)[0].boolean(0);
}

Task<Result<void>> raise_fence(Transaction& tx, std::string order_id) {
    return run(tx, raise_fence_sql, bind(order_id));
}

Task<Result<Ids>> hold_fences(Transaction& tx, Ids order_ids) {
    std::vector<Params> rows;
    for (const std::string& id : order_ids)
        rows.push_back(bind(id));
    auto fences = co_await tx.execute_set(hold_fences_sql, std::move(rows));
    if (!fences) co_return fences.error();
    Ids raised;
    for (std::size_t i = 0; i < fences->size(); ++i)
        if ((*fences)[i].boolean(1)) raised.insert((*fences)[i].string(0));
    co_return raised;
}

Task<Result<void>> accept(Transaction& tx, Payment payment, Attempt attempt) {
    auto row = bind(
        payment.order_id,
        payment.id,
        payment.user_id,
        payment.total.amount,
        payment.total.currency.code(),
        attempt.id,
        attempt.token,
        payment.created_at
    );
    return tx.execute_later(accept_sql, std::move(row));
}

Task<Result<bool>> insert_payment(Transaction& tx, Payment payment) {
    auto params = bind(
        payment.id,
        payment.order_id,
        payment.user_id,
        payment.total.amount,
        payment.total.currency.code(),
        payment.status,
        payment.reason,
        payment.version,
        payment.created_at
    );
    return run_guarded(tx, insert_payment_sql, std::move(params));
}

Task<Result<std::optional<Payment>>> find_by_order(Transaction& tx, std::string order_id) {
    auto rows = co_await tx.execute(find_by_order_sql, bind(order_id));
    co_return to_optional_payment(rows);
}

Task<Result<bool>> void_payment(Transaction& tx, std::string id, Timestamp now) {
    return run_guarded(tx, void_payment_sql, bind(id, now));
}

Task<Result<bool>> decline_payment(
    Transaction& tx, std::string id, std::string reason, Timestamp now
) {
    return run_guarded(tx, decline_payment_sql, bind(id, reason, now));
}

Task<Result<Ids>> capture_payments(Transaction& tx, Ids ids, Timestamp now) {
    std::vector<Params> rows;
    for (const std::string& id : ids)
        rows.push_back(bind(id, now));
    return run_set(tx, capture_payments_sql, std::move(rows));
}

Task<Result<bool>> give_back_payment(Transaction& tx, std::string id, Timestamp now) {
    return run_guarded(tx, give_back_payment_sql, bind(id, now));
}

Task<Result<std::optional<std::int64_t>>> refund_payment(
    Transaction& tx, std::string id, Timestamp now
) {
    auto rows = co_await tx.execute(refund_payment_sql, bind(id, now));
    if (!rows) co_return rows.error();
    std::optional<std::int64_t> version;
    if (!rows->empty()) version = (*rows)[0].integer(0);
    co_return version;
}

Task<Result<void>> insert_attempt(Transaction& tx, Attempt attempt, Timestamp now) {
    auto params = bind(
        attempt.id,
        attempt.payment_id,
        attempt.order_id,
        attempt.operation,
        attempt.charge_id,
        attempt.token,
        attempt.total.amount,
        attempt.total.currency.code(),
        now
    );
    return run(tx, insert_attempt_sql, std::move(params));
}

Task<Result<std::vector<Attempt>>> claim_attempts(
    Transaction& tx, Timestamp now, Timestamp until, std::size_t limit
) {
    auto rows = co_await tx.execute_last(claim_attempts_sql, bind(now, until, limit));
    if (!rows) co_return rows.error();
    std::vector<Attempt> attempts;
    attempts.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i)
        attempts.push_back(to_attempt((*rows)[i]));
    co_return attempts;
}

Task<Result<Ids>> settle_attempts(Transaction& tx, std::vector<Settled> settled) {
    std::vector<Params> rows;
    for (Settled& one : settled)
        rows.push_back(bind(std::move(one.attempt_id), one.status));
    return run_set(tx, settle_attempts_sql, std::move(rows));
}

Task<Result<bool>> void_attempt(Transaction& tx, std::string payment_id) {
    return run_guarded(tx, void_attempt_sql, bind(payment_id));
}

Task<Result<void>> reschedule_attempt(
    Transaction& tx, std::string id, std::int64_t tries, Timestamp at
) {
    return run_alone(tx, reschedule_attempt_sql, bind(id, tries, at));
}

Task<Result<void>> post_to_ledger(
    Transaction& tx,
    std::string set_id,
    std::string attempt_id,
    std::string order_id,
    std::string currency,
    domain::PostingSet postings,
    Timestamp now
) {
    auto params = bind(
        set_id,
        postings[0].account,
        postings[0].amount,
        postings[1].account,
        postings[1].amount,
        currency,
        order_id,
        now
    );
    auto written = co_await tx.execute_later(insert_entries_sql, std::move(params));
    if (!written) co_return written.error();
    co_return co_await tx.execute_later(close_set_sql, bind(set_id, attempt_id, now));
}

Task<Result<std::optional<Payment>>> get_payment(
    Database& database, std::string id, Deadline deadline
) {
    auto rows = co_await database.query(get_payment_sql, bind(id), deadline);
    co_return to_optional_payment(rows);
}

Task<Result<std::optional<Payment>>> get_payment_of_order(
    Database& database, std::string order_id, Deadline deadline
) {
    auto rows = co_await database.query(find_by_order_sql, bind(order_id), deadline);
    co_return to_optional_payment(rows);
}

Task<Result<std::vector<Payment>>> list_payments(
    Database& database, std::string after_order_id, std::size_t limit, Deadline deadline
) {
    auto rows = co_await database.query(list_payments_sql, bind(after_order_id, limit), deadline);
    if (!rows) co_return rows.error();
    std::vector<Payment> payments;
    payments.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i)
        payments.push_back(to_payment((*rows)[i]));
    co_return payments;
}

Task<Result<std::vector<CurrencySum>>> sum_ledger(Database& database, Deadline deadline) {
    auto rows = co_await long_query(database, sum_ledger_sql, Params(), deadline);
    if (!rows) co_return rows.error();
    std::vector<CurrencySum> sums;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        auto row = (*rows)[i];
        sums.emplace_back(row.string(0), row.integer(1), row.integer(2));
    }
    co_return sums;
}

}  // namespace souk::payment::store
