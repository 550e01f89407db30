#include "store/stock.hpp"

#include <algorithm>
#include <numeric>

namespace souk::product::store {

namespace {

constexpr Statement insert_stock_sql{
    "stock.insert",
    "INSERT INTO stock (product_id, received, available, held, sold) VALUES ($1, $2, $2, 0, 0)"};
constexpr Statement change_stock_sql{
    "stock.change",
    "UPDATE stock SET received = received + $2, available = available + $2 "
    "WHERE product_id = $1 RETURNING received, available, held, sold"};
constexpr Statement set_received_sql{
    "stock.set_received",
    "INSERT INTO stock (product_id, received, available, held, sold) VALUES ($1, $2, $2, 0, 0) "
    "ON CONFLICT (product_id) DO UPDATE SET received = excluded.received, "
    "available = stock.available + (excluded.received - stock.received) "
    "WHERE stock.received <> excluded.received"};

constexpr Statement insert_reservation_sql{
    "stock.insert_reservation",
    "INSERT INTO reservations (order_id, status, units, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $4) ON CONFLICT (order_id) DO NOTHING"};
constexpr Statement insert_reservations_sql{
    "stock.insert_reservations",
    insert_reservation_sql.sql,
    "INSERT INTO reservations (order_id, status, units, created_at, updated_at) "
    "SELECT r.order_id, r.status, r.units, r.now, r.now FROM unnest(CAST($1 AS TEXT[]), "
    "CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]), CAST($4 AS BIGINT[])) "
    "AS r (order_id, status, units, now) ON CONFLICT (order_id) DO NOTHING"};
constexpr Statement find_reservation_sql{
    "stock.find_reservation", "SELECT status FROM reservations WHERE order_id = $1"};
constexpr Statement settle_reservation_sql{
    "stock.settle_reservation",
    "UPDATE reservations SET status = $2, updated_at = $3 "
    "WHERE order_id = $1 AND status = 'held'"};
// PostgreSQL alone: all of the above and below in one.
constexpr Statement settle_at_once_sql{
    "stock.settle_at_once",
    "WITH settled AS (UPDATE reservations SET status = $2, updated_at = $3 "
    "WHERE order_id = $1 AND status = 'held' RETURNING order_id), "
    "moved AS (UPDATE holds SET status = $2 FROM settled s WHERE holds.order_id = s.order_id) "
    "INSERT INTO settling (order_id) SELECT order_id FROM settled"};
constexpr Statement settle_holds_sql{
    "stock.settle_holds", "UPDATE holds SET status = $2 WHERE order_id = $1"};
constexpr Statement move_units_sql{
    "stock.move_settled_units", "INSERT INTO settling (order_id) VALUES ($1)"};

constexpr Statement take_units_sql{
    "stock.take_units",
    "UPDATE stock SET available = available - $2, held = held + $2 "
    "WHERE product_id = $1 AND available >= $2"};
constexpr Statement insert_hold_sql{
    "stock.insert_hold",
    "INSERT INTO holds (order_id, product_id, quantity, sku, name, price_micros, currency, status) "
    "SELECT CAST($1 AS TEXT), p.id, CAST($3 AS BIGINT), p.sku, p.name, p.price_micros, "
    "p.currency, 'held' FROM products p WHERE p.id = $2 AND p.price_micros IS NOT NULL"};
constexpr Statement read_holds_sql{
    "stock.read_holds",
    "SELECT product_id, sku, name, price_micros, currency FROM holds WHERE order_id = $1 "
    "ORDER BY product_id"};
constexpr Statement find_holds_sql{
    "stock.find_holds",
    "SELECT h.product_id, h.sku, h.name, h.price_micros, h.currency, r.status "
    "FROM reservations r LEFT JOIN holds h ON h.order_id = r.order_id WHERE r.order_id = $1 "
    "ORDER BY h.product_id"};
// PostgreSQL alone, behind insert_reservation_sql in the same round trip, so that other buyers of
// the same products wait for none. The reservation comes first, as where it is settled; `mine` says
// that it is of this transaction. `locked` holds the stock, in ascending order, as it is now, not
// as it was when the statement began: what it says is true until the commit. All that is written
// waits for `complete`, which looks at every row of it.
constexpr Statement reserve_sql{
    "stock.reserve",
    "WITH mine AS MATERIALIZED (SELECT order_id FROM reservations WHERE order_id = $1 "
    "AND xmin = CAST(pg_current_xact_id_if_assigned() AS XID)), "
    "wanted AS MATERIALIZED ("
    "SELECT * FROM unnest(CAST($2 AS TEXT[]), CAST($3 AS BIGINT[])) AS w (product_id, quantity)), "
    "locked AS MATERIALIZED ("
    "SELECT product_id, available FROM stock WHERE product_id = ANY (CAST($2 AS TEXT[])) "
    "AND EXISTS (SELECT FROM mine) ORDER BY product_id FOR NO KEY UPDATE), "
    "found AS MATERIALIZED ("
    "SELECT w.product_id, w.quantity, p.sku, p.name, p.price_micros, p.currency, "
    "p.price_micros IS NOT NULL AS orderable, "
    "COALESCE(l.available >= w.quantity, FALSE) AS enough "
    "FROM wanted w LEFT JOIN LATERAL (SELECT * FROM products WHERE id = w.product_id OFFSET 0) p "
    "ON TRUE LEFT JOIN locked l ON l.product_id = w.product_id), "
    "complete AS MATERIALIZED (SELECT BOOL_AND(orderable AND enough) AS yes FROM found), "
    "undone AS (DELETE FROM reservations r USING mine m, complete c "
    "WHERE r.order_id = m.order_id AND NOT c.yes), "
    "taken AS (UPDATE stock SET available = stock.available - f.quantity, "
    "held = stock.held + f.quantity FROM found f, complete c "
    "WHERE stock.product_id = ANY (CAST($2 AS TEXT[])) AND stock.product_id = f.product_id "
    "AND c.yes), "
    "written AS (INSERT INTO holds (order_id, product_id, quantity, sku, name, price_micros, "
    "currency, status) SELECT m.order_id, f.product_id, f.quantity, f.sku, f.name, "
    "f.price_micros, f.currency, 'held' FROM found f, mine m, complete c WHERE c.yes) "
    "SELECT f.product_id, f.sku, f.name, f.price_micros, f.currency, f.orderable, f.enough, "
    "c.yes FROM found f, complete c ORDER BY f.product_id"};

constexpr Statement claim_key_sql{
    "stock.claim_key",
    "INSERT INTO stock_requests (caller, idempotency_key, request_hash, answer, created_at) "
    "VALUES ($1, $2, $3, '', $4) ON CONFLICT (caller, idempotency_key) DO NOTHING"};
constexpr Statement find_key_sql{
    "stock.find_key",
    "SELECT request_hash, answer FROM stock_requests WHERE caller = $1 AND idempotency_key = $2"};
constexpr Statement store_answer_sql{
    "stock.store_answer",
    "UPDATE stock_requests SET answer = $3 WHERE caller = $1 AND idempotency_key = $2"};

constexpr Statement prune_requests_sql{
    "stock.prune_requests",
    "DELETE FROM stock_requests WHERE (caller, idempotency_key) IN (SELECT caller, idempotency_key "
    "FROM stock_requests WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    "DELETE FROM stock_requests WHERE (caller, idempotency_key) IN (SELECT caller, idempotency_key "
    "FROM stock_requests WHERE created_at < $1 ORDER BY created_at LIMIT $2 "
    "FOR UPDATE SKIP LOCKED)"};

constexpr Statement count_old_holds_sql{
    "stock.count_old_holds",
    "SELECT COUNT(*) FROM reservations WHERE status = 'held' AND created_at < $1"};

std::string_view to_text(ReservationStatus status) {
    switch (status) {
        case ReservationStatus::held:
            return "held";
        case ReservationStatus::committed:
            return "committed";
        default:
            return "released";
    }
}

ReservationStatus status_of(std::string_view text) {
    if (text == "held") return ReservationStatus::held;
    return text == "committed" ? ReservationStatus::committed : ReservationStatus::released;
}

/// The checks of the table `stock` in the words of its module.
Error stock_error(Error error) {
    if (error.code != "check_violation") return error;
    return conflict("insufficient_stock", "more units are held, sold or taken than there are");
}

std::vector<std::string> not_written(
    const domain::Quantities& quantities, const std::vector<Rows>& results
) {
    std::vector<std::string> ids;
    auto result = results.begin();
    for (const auto& [id, quantity] : quantities)
        if ((result++)->affected() == 0) ids.push_back(id);
    return ids;
}

ReservedProduct reserved_from(const Rows::Row& row) {
    return ReservedProduct(
        row.string(0),
        row.string(1),
        row.string(2),
        UnitPrice::from_micros(row.integer(3)),
        Currency::parse(row.text(4)).value()
    );
}

std::int64_t units_of(const domain::Quantities& quantities) {
    std::int64_t sum = 0;
    for (const auto& [id, quantity] : quantities)
        sum += quantity;
    return sum;
}

Task<Result<bool>> insert_reservation(
    Transaction& tx,
    std::string order_id,
    ReservationStatus status,
    std::int64_t units,
    Timestamp now
) {
    Params params = bind(std::move(order_id), to_text(status), units, now);
    auto rows = co_await tx.execute(insert_reservation_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected() == 1;
}

Task<Result<std::vector<std::string>>> take_units(
    Transaction& tx, const domain::Quantities& quantities
) {
    std::vector<Params> params;
    for (const auto& [id, quantity] : quantities)
        params.push_back(bind(id, quantity));
    auto taken = co_await tx.execute_all(take_units_sql, std::move(params));
    if (!taken) co_return taken.error();
    co_return not_written(quantities, *taken);
}

Task<Result<std::vector<std::string>>> insert_holds(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities
) {
    std::vector<Params> params;
    for (const auto& [id, quantity] : quantities)
        params.push_back(bind(order_id, id, quantity));
    auto written = co_await tx.execute_all(insert_hold_sql, std::move(params));
    if (!written) co_return written.error();
    co_return not_written(quantities, *written);
}

Task<Result<std::vector<ReservedProduct>>> read_holds(Transaction& tx, std::string order_id) {
    auto rows = co_await tx.execute(read_holds_sql, bind(std::move(order_id)));
    if (!rows) co_return rows.error();
    std::vector<ReservedProduct> products;
    for (std::size_t i = 0; i < rows->size(); ++i)
        products.push_back(reserved_from((*rows)[i]));
    co_return products;
}

/// SQLite, where nobody else writes meanwhile.
Task<Result<Reservation>> reserve_in_steps(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities, Timestamp now
) {
    Reservation out;
    auto opened = co_await insert_reservation(
        tx, order_id, ReservationStatus::held, units_of(quantities), now
    );
    if (!opened) co_return opened.error();
    if (!*opened) co_return out;
    auto unpriced = co_await insert_holds(tx, order_id, quantities);
    if (!unpriced) co_return unpriced.error();
    out.unknown = std::move(*unpriced);
    if (!out.unknown.empty()) co_return out;
    auto missing = co_await take_units(tx, quantities);
    if (!missing) co_return missing.error();
    out.missing = std::move(*missing);
    if (!out.missing.empty()) co_return out;
    auto holds = co_await read_holds(tx, std::move(order_id));
    if (!holds) co_return holds.error();
    out.holds = std::move(*holds);
    out.opened = true;
    co_return out;
}

Task<Result<Reservation>> reserve_at_once(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities, Timestamp now
) {
    std::vector<Value> ids;
    std::vector<Value> units;
    for (const auto& [id, quantity] : quantities) {
        ids.emplace_back(id);
        units.emplace_back(quantity);
    }
    Params row = bind(order_id, "held", units_of(quantities), now);
    auto opened = co_await tx.execute_later(insert_reservations_sql, std::move(row));
    if (!opened) co_return opened.error();
    Params params = bind(std::move(order_id), array_text(ids), array_text(units));
    auto rows = co_await tx.execute_last(reserve_sql, std::move(params));
    if (!rows) co_return rows.error();
    Reservation out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const auto row = (*rows)[i];
        out.opened = row.boolean(7);
        if (out.opened)
            out.holds.push_back(reserved_from(row));
        else if (!row.boolean(5))
            out.unknown.push_back(row.string(0));
        else if (!row.boolean(6))
            out.missing.push_back(row.string(0));
    }
    co_return out;
}

}  // namespace

Task<Result<void>> insert_stock(Transaction& tx, std::string product_id, std::int64_t units) {
    Params params = bind(std::move(product_id), units);
    auto rows = co_await tx.execute(insert_stock_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<std::optional<domain::Stock>>> change_stock(
    Transaction& tx, std::string product_id, std::int64_t delta
) {
    Params params = bind(std::move(product_id), delta);
    auto rows = co_await tx.execute(change_stock_sql, std::move(params));
    if (!rows) co_return stock_error(rows.error());
    std::optional<domain::Stock> stock;
    if (rows->empty()) co_return stock;
    stock.emplace();
    stock->received = (*rows)[0].integer(0);
    stock->available = (*rows)[0].integer(1);
    stock->held = (*rows)[0].integer(2);
    stock->sold = (*rows)[0].integer(3);
    co_return stock;
}

Task<Result<std::vector<bool>>> set_received(Transaction& tx, std::vector<ReceivedTotal> totals) {
    std::vector<std::size_t> order(totals.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return totals[a].product_id < totals[b].product_id;
    });
    std::vector<Params> params;
    for (const std::size_t i : order)
        params.push_back(bind(totals[i].product_id, totals[i].units));
    auto written = co_await tx.execute_all(set_received_sql, std::move(params));
    if (!written) co_return stock_error(written.error());
    std::vector<bool> changed(totals.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        changed[order[i]] = (*written)[i].affected() > 0;
    co_return changed;
}

Task<Result<bool>> insert_tombstone(Transaction& tx, std::string order_id, Timestamp now) {
    return insert_reservation(tx, std::move(order_id), ReservationStatus::released, 0, now);
}

Task<Result<ReservationStatus>> find_reservation(Transaction& tx, std::string order_id) {
    Params params = bind(std::move(order_id));
    auto rows = co_await tx.execute(find_reservation_sql, std::move(params));
    if (!rows) co_return rows.error();
    if (rows->empty()) co_return ReservationStatus::none;
    co_return status_of((*rows)[0].text(0));
}

Task<Result<bool>> settle_reservation(
    Transaction& tx, std::string order_id, ReservationStatus to, Timestamp now
) {
    Params guarded = bind(order_id, to_text(to), now);
    if (tx.dialect() == Dialect::postgres) {
        auto done = co_await tx.execute(settle_at_once_sql, std::move(guarded));
        if (!done) co_return done.error();
        co_return done->affected() == 1;
    }
    auto settled = co_await tx.execute(settle_reservation_sql, std::move(guarded));
    if (!settled) co_return settled.error();
    if (settled->affected() == 0) co_return false;

    Params status = bind(order_id, to_text(to));
    auto holds = co_await tx.execute(settle_holds_sql, std::move(status));
    if (!holds) co_return holds.error();
    Params by_order = bind(std::move(order_id));
    auto moved = co_await tx.execute(move_units_sql, std::move(by_order));
    if (!moved) co_return moved.error();
    co_return true;
}

Task<Result<Reservation>> reserve(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities, Timestamp now
) {
    if (tx.dialect() == Dialect::postgres)
        return reserve_at_once(tx, std::move(order_id), quantities, now);
    return reserve_in_steps(tx, std::move(order_id), quantities, now);
}

Task<Result<Holds>> find_holds(Database& database, std::string order_id, Deadline deadline) {
    auto rows = co_await database.query(find_holds_sql, bind(std::move(order_id)), deadline);
    if (!rows) co_return rows.error();
    Holds holds;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const auto row = (*rows)[i];
        holds.status = status_of(row.text(5));
        if (!row.is_null(0)) holds.products.push_back(reserved_from(row));
    }
    co_return holds;
}

Task<Result<std::optional<StoredAnswer>>> claim_key(
    Transaction& tx, std::string caller, std::string key, std::string request_hash, Timestamp now
) {
    std::optional<StoredAnswer> stored;
    Params row = bind(caller, key, std::move(request_hash), now);
    auto claimed = co_await tx.execute(claim_key_sql, std::move(row));
    if (!claimed) co_return claimed.error();
    if (claimed->affected() == 1) co_return stored;
    Params by_key = bind(std::move(caller), std::move(key));
    auto found = co_await tx.execute(find_key_sql, std::move(by_key));
    if (!found) co_return found.error();
    stored.emplace();
    stored->request_hash = (*found)[0].string(0);
    stored->answer = (*found)[0].string(1);
    co_return stored;
}

Task<Result<void>> store_answer(
    Transaction& tx, std::string caller, std::string key, std::string answer
) {
    Params params = bind(std::move(caller), std::move(key), std::move(answer));
    auto rows = co_await tx.execute(store_answer_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<std::int64_t>> prune_requests(Transaction& tx, Timestamp before, std::size_t limit) {
    Params params = bind(before, limit);
    auto rows = co_await tx.execute(prune_requests_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected();
}

Task<Result<std::int64_t>> count_old_holds(
    Database& database, Timestamp before, Deadline deadline
) {
    Params params = bind(before);
    auto rows = co_await database.query(count_old_holds_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    co_return (*rows)[0].integer(0);
}

}  // namespace souk::product::store
