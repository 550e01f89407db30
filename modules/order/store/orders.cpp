#include "store/orders.hpp"

#include "souk/json.hpp"
#include "souk/long_query.hpp"

#include <iterator>

namespace souk::order::store {

namespace {

constexpr Statement insert_order_sql{
    "order.insert",
    "INSERT INTO orders (id, number, user_id, status, amount, currency, units, line_count, "
    "payment_token, version, placed_at, created_at, updated_at, source, external_ref, imported_by, "
    "content_hash) VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, 1, $9, $10, $10, $11, $12, "
    "$13, $14) ON CONFLICT DO NOTHING"};
constexpr Statement insert_line_sql{
    "order.insert_line",
    "INSERT INTO order_lines (order_id, line_no, product_id, sku, name, quantity, "
    "unit_price_micros, total) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"};
constexpr Statement close_intent_sql{
    "order.close_intent",
    "UPDATE intents SET status = 'final', answer_status = $3, answer_body = $4 "
    "WHERE order_id = $1 AND fence = $2 AND status = 'open'"};
// PostgreSQL alone. Without the lease there is no id, and that is refused.
constexpr Statement place_sql{
    "order.place",
    "WITH closed AS (UPDATE intents SET status = 'final', answer_status = $16, answer_body = $17 "
    "WHERE order_id = $1 AND fence = $15 AND status = 'open' RETURNING order_id), "
    "placed AS (INSERT INTO orders (id, number, user_id, status, amount, currency, units, "
    "line_count, payment_token, version, placed_at, created_at, updated_at, source, external_ref, "
    "imported_by, content_hash) SELECT (SELECT order_id FROM closed), $2, $3, 'pending', $4, $5, "
    "$6, $7, $8, 1, $9, $10, $10, CAST($11 AS TEXT), CAST($12 AS TEXT), CAST($13 AS TEXT), "
    "CAST($14 AS TEXT) RETURNING id) "
    "INSERT INTO order_lines (order_id, line_no, product_id, sku, name, quantity, "
    "unit_price_micros, total) SELECT p.id, l.line_no, l.product_id, l.sku, l.name, l.quantity, "
    "l.price, l.total FROM placed p, unnest(CAST($18 AS TEXT[]), CAST($19 AS TEXT[]), "
    "CAST($20 AS TEXT[]), CAST($21 AS BIGINT[]), CAST($22 AS BIGINT[]), CAST($23 AS BIGINT[])) "
    "WITH ORDINALITY AS l (product_id, sku, name, quantity, price, total, line_no)"};
// The same for many orders, and their lines in arrays of their own.
constexpr Statement place_many_sql{
    "order.place_many",
    "WITH r AS MATERIALIZED (SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), "
    "CAST($3 AS TEXT[]), CAST($4 AS BIGINT[]), CAST($5 AS TEXT[]), CAST($6 AS BIGINT[]), "
    "CAST($7 AS BIGINT[]), CAST($8 AS TEXT[]), CAST($9 AS BIGINT[]), CAST($10 AS BIGINT[]), "
    "CAST($11 AS TEXT[]), CAST($12 AS TEXT[]), CAST($13 AS TEXT[]), CAST($14 AS TEXT[]), "
    "CAST($15 AS BIGINT[]), CAST($16 AS BIGINT[]), CAST($17 AS TEXT[])) AS r (id, number, user_id, "
    "amount, currency, units, line_count, payment_token, placed_at, now, source, external_ref, "
    "imported_by, content_hash, fence, answer_status, answer)), "
    "closed AS (UPDATE intents i SET status = 'final', answer_status = r.answer_status, "
    "answer_body = r.answer FROM r WHERE i.order_id = ANY (CAST($1 AS TEXT[])) "
    "AND i.order_id = r.id AND i.fence = r.fence AND i.status = 'open' RETURNING i.order_id), "
    "placed AS (INSERT INTO orders (id, number, user_id, status, amount, currency, units, "
    "line_count, payment_token, version, placed_at, created_at, updated_at, source, external_ref, "
    "imported_by, content_hash) SELECT c.order_id, r.number, r.user_id, 'pending', r.amount, "
    "r.currency, r.units, r.line_count, r.payment_token, 1, r.placed_at, r.now, r.now, r.source, "
    "r.external_ref, r.imported_by, r.content_hash FROM r LEFT JOIN closed c ON c.order_id = r.id "
    "RETURNING id) "
    "INSERT INTO order_lines (order_id, line_no, product_id, sku, name, quantity, "
    "unit_price_micros, total) SELECT p.id, l.line_no, l.product_id, l.sku, l.name, l.quantity, "
    "l.price, l.total FROM placed p JOIN unnest(CAST($18 AS TEXT[]), CAST($19 AS BIGINT[]), "
    "CAST($20 AS TEXT[]), CAST($21 AS TEXT[]), CAST($22 AS TEXT[]), CAST($23 AS BIGINT[]), "
    "CAST($24 AS BIGINT[]), CAST($25 AS BIGINT[])) AS l (order_id, line_no, product_id, sku, name, "
    "quantity, price, total) ON l.order_id = p.id"};
constexpr Statement find_imported_sql{
    "order.find_imported",
    "SELECT id, content_hash FROM orders WHERE source = $1 AND external_ref = $2"};

constexpr Statement mark_paid_sql{
    "order.mark_paid",
    "UPDATE orders SET status = 'paid', version = version + 1, updated_at = $2 "
    "WHERE id = $1 AND status = 'pending' "
    "RETURNING number, user_id, amount, currency, version, id",
    "UPDATE orders SET status = 'paid', version = version + 1, "
    "updated_at = (CAST($2 AS BIGINT[]))[1] "  // the same for all
    "WHERE id = ANY (CAST($1 AS TEXT[])) AND status = 'pending' "
    "RETURNING number, user_id, amount, currency, version, id"};
constexpr Statement mark_cancelled_sql{
    "order.mark_cancelled",
    "UPDATE orders SET status = 'cancelled', cancel_reason = $3, version = version + 1, "
    "updated_at = $2 WHERE id = $1 AND status = 'pending' "
    "RETURNING number, user_id, amount, currency, version"};
constexpr Statement mark_free_cancelled_sql{
    "order.mark_free_cancelled",
    "UPDATE orders SET status = 'cancelled', cancel_reason = $3, version = version + 1, "
    "updated_at = $2 WHERE id = $1 AND status = 'pending' "
    "RETURNING number, user_id, amount, currency, version",
    "UPDATE orders SET status = 'cancelled', cancel_reason = $3, version = version + 1, "
    "updated_at = $2 WHERE id = (SELECT id FROM orders WHERE id = $1 AND status = 'pending' "
    "FOR UPDATE SKIP LOCKED) RETURNING number, user_id, amount, currency, version"};
constexpr Statement order_status_sql{"order.status", "SELECT status FROM orders WHERE id = $1"};

// A row a line, the order's own columns repeated: one statement reads orders with their lines.
#define SOUK_ORDER_COLUMNS                                                                   \
    "SELECT o.id, o.number, o.user_id, o.status, o.cancel_reason, o.amount, o.currency, "    \
    "o.version, o.placed_at, l.product_id, l.sku, l.name, l.quantity, l.unit_price_micros, " \
    "l.total FROM orders o JOIN order_lines l ON l.order_id = o.id "
constexpr Statement find_orders_sql{
    "order.find_many",
    SOUK_ORDER_COLUMNS "WHERE o.id IN (SELECT value FROM json_each($1)) ORDER BY o.id, l.line_no",
    // Said of both tables: whatever their statistics, neither is read whole.
    SOUK_ORDER_COLUMNS
    "WHERE o.id = ANY (CAST($1 AS TEXT[])) AND l.order_id = ANY (CAST($1 AS TEXT[])) "
    "ORDER BY o.id, l.line_no"};
constexpr Statement list_orders_sql{
    "order.list",
    SOUK_ORDER_COLUMNS
    "WHERE o.id IN (SELECT id FROM orders WHERE user_id = $1 AND (placed_at, id) < ($2, $3) "
    "ORDER BY placed_at DESC, id DESC LIMIT $4) ORDER BY o.placed_at DESC, o.id DESC, l.line_no"};
constexpr Statement audit_orders_sql{
    "order.audit",
    SOUK_ORDER_COLUMNS
    "WHERE o.id IN (SELECT id FROM orders WHERE id > $1 ORDER BY id LIMIT $2) "
    "ORDER BY o.id, l.line_no"};
#undef SOUK_ORDER_COLUMNS

constexpr Statement find_overdue_sql{
    "order.find_overdue",
    "SELECT id, created_at FROM orders WHERE status = 'pending' AND created_at < $1 "
    "AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4"};

constexpr Statement summarize_sql{
    "order.summarize_import",
    "SELECT COUNT(*), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'pending' THEN 1 ELSE 0 END), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'paid' THEN 1 ELSE 0 END), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'cancelled' THEN 1 ELSE 0 END), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'paid' THEN units ELSE 0 END), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'paid' THEN amount ELSE 0 END), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(CASE WHEN status = 'paid' THEN line_count ELSE 0 END), 0) AS BIGINT) "
    "FROM orders WHERE source = $1"};

Currency currency_of(std::string_view code) {
    return Currency::parse(code).value();
}

Params order_row(const Order& order, const OrderDetails& details) {
    Params row = bind(
        order.id,
        order.number,
        order.user_id,
        order.total.amount,
        order.total.currency.code(),
        details.units,
        order.lines.size(),
        details.payment_token,
        order.placed_at,
        details.created_at
    );
    if (details.import) {
        row.emplace_back(details.import->source);
        row.emplace_back(details.import->external_ref);
        row.emplace_back(details.import->imported_by);
        row.emplace_back(details.import->content_hash);
    } else {
        row.resize(row.size() + 4);
    }
    return row;
}

Order read_order(const Rows::Row& row) {
    Order order(
        row.string(0),
        row.string(1),
        row.string(2),
        row.string(3),
        Money(row.integer(5), currency_of(row.text(6)))
    );
    order.cancel_reason = row.string(4);
    order.version = row.integer(7);
    order.placed_at = row.time(8);
    return order;
}

std::vector<Order> read_orders(const Rows& rows) {
    std::vector<Order> orders;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = rows[i];
        if (orders.empty() || orders.back().id != row.text(0)) orders.push_back(read_order(row));
        orders.back().lines.emplace_back(
            row.string(9),
            row.string(10),
            row.string(11),
            row.integer(12),
            UnitPrice::from_micros(row.integer(13)),
            row.integer(14)
        );
    }
    return orders;
}

Task<Result<std::vector<Order>>> query_orders(
    Database& database, const Statement& statement, Params params, Deadline deadline
) {
    auto rows = co_await database.query(statement, std::move(params), deadline);
    if (!rows) co_return rows.error();
    co_return read_orders(*rows);
}

Changed changed_from(const Rows::Row& row) {
    Changed changed(Money(row.integer(2), currency_of(row.text(3))));
    changed.number = row.string(0);
    changed.user_id = row.string(1);
    changed.version = row.integer(4);
    return changed;
}

Task<Result<std::optional<Changed>>> change(
    Transaction& tx, const Statement& statement, Params params
) {
    auto rows = co_await tx.execute(statement, std::move(params));
    if (!rows) co_return rows.error();
    std::optional<Changed> changed;
    if (rows->empty()) co_return changed;
    changed = changed_from((*rows)[0]);
    co_return changed;
}

/// SQLite: a statement costs little, and one cannot write to several tables.
Task<Result<Placed>> place_in_steps(
    Transaction& tx, Closing closing, const Order& order, const OrderDetails& details
) {
    Params close = bind(closing.order_id, closing.fence, closing.status, closing.answer);
    auto closed = co_await tx.execute(close_intent_sql, std::move(close));
    if (!closed) co_return closed.error();
    if (closed->affected() == 0) co_return Placed::lease_lost;
    auto inserted = co_await tx.execute(insert_order_sql, order_row(order, details));
    if (!inserted) co_return inserted.error();
    if (inserted->affected() == 0) co_return Placed::taken;
    std::vector<Params> lines;
    lines.reserve(order.lines.size());
    for (const OrderLine& line : order.lines)
        lines.push_back(bind(
            order.id,
            lines.size() + 1,
            line.product_id,
            line.sku,
            line.name,
            line.quantity,
            line.unit_price.micros(),
            line.total
        ));
    auto written = co_await tx.execute_all(insert_line_sql, std::move(lines));
    if (!written) co_return written.error();
    co_return Placed::done;
}

void add_columns_of_lines(Params& params, const std::vector<OrderLine>& lines) {
    std::vector<Value> columns[6];
    for (const OrderLine& line : lines) {
        columns[0].emplace_back(line.product_id);
        columns[1].emplace_back(line.sku);
        columns[2].emplace_back(line.name);
        columns[3].emplace_back(line.quantity);
        columns[4].emplace_back(line.unit_price.micros());
        columns[5].emplace_back(line.total);
    }
    for (const auto& column : columns)
        params.emplace_back(array_text(column));
}

/// PostgreSQL: one statement, so that no lock waits for a round trip. What must not be is an error,
/// which rolls back whatever travels with it.
Task<Result<Placed>> place_at_once(
    Transaction& tx, Closing closing, const Order& order, const OrderDetails& details
) {
    Params params = order_row(order, details);
    params.emplace_back(closing.fence);
    params.emplace_back(static_cast<std::int64_t>(closing.status));
    params.emplace_back(std::move(closing.answer));
    add_columns_of_lines(params, order.lines);
    auto placed = co_await tx.execute_last(place_sql, std::move(params));
    if (placed) co_return Placed::done;
    const Error& error = placed.error();
    if (error.code == "not_null_violation" && error.detail == "orders.id")
        co_return Placed::lease_lost;
    if (error.code == "unique_violation" && error.detail.starts_with("orders_"))
        co_return Placed::taken;
    co_return error;
}

}  // namespace

Task<Result<Placed>> place(
    Transaction& tx, Closing closing, const Order& order, const OrderDetails& details
) {
    if (tx.dialect() == Dialect::postgres)
        return place_at_once(tx, std::move(closing), order, details);
    return place_in_steps(tx, std::move(closing), order, details);
}

Task<Result<void>> place_many(
    Transaction& tx, const std::vector<std::shared_ptr<const Placing>>& placings
) {
    std::vector<Value> columns[17];
    std::vector<Value> lines[8];
    for (const auto& placing : placings) {
        Params row = order_row(placing->order, placing->details);
        row.emplace_back(placing->closing.fence);
        row.emplace_back(static_cast<std::int64_t>(placing->closing.status));
        row.emplace_back(placing->closing.answer);
        for (std::size_t i = 0; i < std::size(columns); ++i)
            columns[i].push_back(std::move(row.at(i)));
        std::int64_t line_no = 0;
        for (const OrderLine& line : placing->order.lines) {
            lines[0].emplace_back(placing->order.id);
            lines[1].emplace_back(++line_no);
            lines[2].emplace_back(line.product_id);
            lines[3].emplace_back(line.sku);
            lines[4].emplace_back(line.name);
            lines[5].emplace_back(line.quantity);
            lines[6].emplace_back(line.unit_price.micros());
            lines[7].emplace_back(line.total);
        }
    }
    Params params;
    for (const auto& column : columns)
        params.emplace_back(array_text(column));
    for (const auto& column : lines)
        params.emplace_back(array_text(column));
    auto placed = co_await tx.execute_last(place_many_sql, std::move(params));
    if (!placed) co_return placed.error();
    co_return Result<void>();
}

Task<Result<std::optional<Imported>>> find_imported(
    Database& database, std::string source, std::string external_ref, Deadline deadline
) {
    Params params = bind(std::move(source), std::move(external_ref));
    auto rows = co_await database.query(find_imported_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::optional<Imported> imported;
    if (rows->empty()) co_return imported;
    imported.emplace();
    imported->order_id = (*rows)[0].string(0);
    imported->content_hash = (*rows)[0].string(1);
    co_return imported;
}

Task<Result<std::map<std::string, Changed>>> mark_paid(
    Transaction& tx, std::vector<std::string> ids, Timestamp now
) {
    std::vector<Params> params;
    params.reserve(ids.size());
    for (std::string& id : ids)
        params.push_back(bind(std::move(id), now));
    auto rows = co_await tx.execute_set(mark_paid_sql, std::move(params));
    if (!rows) co_return rows.error();
    std::map<std::string, Changed> changed;
    for (std::size_t i = 0; i < rows->size(); ++i)
        changed.emplace((*rows)[i].string(5), changed_from((*rows)[i]));
    co_return changed;
}

Task<Result<std::optional<Changed>>> mark_cancelled(
    Transaction& tx, std::string id, std::string_view reason, Timestamp now, WhenLocked when_locked
) {
    const bool skip = when_locked == WhenLocked::skip;
    const Statement& statement = skip ? mark_free_cancelled_sql : mark_cancelled_sql;
    return change(tx, statement, bind(std::move(id), now, reason));
}

Task<Result<std::string>> find_status(Transaction& tx, std::string id) {
    Params params = bind(std::move(id));
    auto rows = co_await tx.execute(order_status_sql, std::move(params));
    if (!rows) co_return rows.error();
    if (rows->empty()) co_return std::string();
    co_return (*rows)[0].string(0);
}

Task<Result<std::vector<Order>>> find_orders(
    Database& database, std::vector<std::string> ids, Deadline deadline
) {
    std::string list;
    if (database.dialect() == Dialect::postgres)
        list = array_text(std::vector<Value>(ids.begin(), ids.end()));
    else
        list = json::serialize(json::array(ids.begin(), ids.end()));
    return query_orders(database, find_orders_sql, bind(std::move(list)), deadline);
}

Task<Result<std::vector<Order>>> list_orders(
    Database& database, std::string user_id, Position after, std::size_t limit, Deadline deadline
) {
    Params params = bind(std::move(user_id), after.placed_at, std::move(after.id), limit);
    return query_orders(database, list_orders_sql, std::move(params), deadline);
}

Task<Result<std::vector<Order>>> audit_orders(
    Database& database, std::string after_id, std::size_t limit, Deadline deadline
) {
    return query_orders(database, audit_orders_sql, bind(std::move(after_id), limit), deadline);
}

Task<Result<std::vector<PendingOrder>>> find_overdue(
    Database& database, PendingOrder after, Timestamp before, std::size_t limit, Deadline deadline
) {
    Params params = bind(before, after.created_at, std::move(after.id), limit);
    auto rows = co_await database.query(find_overdue_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::vector<PendingOrder> orders(rows->size());
    for (std::size_t i = 0; i < orders.size(); ++i) {
        orders[i].id = (*rows)[i].string(0);
        orders[i].created_at = (*rows)[i].time(1);
    }
    co_return orders;
}

Task<Result<ImportSummary>> summarize_import(
    Database& database, std::string source, Deadline deadline
) {
    Params params = bind(std::move(source));
    auto rows = co_await long_query(database, summarize_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    const auto row = (*rows)[0];
    ImportSummary summary;
    summary.placed = row.integer(0);
    summary.pending = row.integer(1);
    summary.paid = row.integer(2);
    summary.cancelled = row.integer(3);
    summary.units = row.integer(4);
    summary.value = row.integer(5);
    summary.lines = row.integer(6);
    co_return summary;
}

}  // namespace souk::order::store
