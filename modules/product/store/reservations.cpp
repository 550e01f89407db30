#include "store/stock.hpp"

#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace souk::product::store {

namespace {

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
// PostgreSQL alone: all of the above and below in one, for many orders.
constexpr Statement settle_at_once_sql{
    "stock.settle_at_once",
    "WITH settled AS (UPDATE reservations SET status = $2, updated_at = $3 "
    "WHERE order_id = ANY (CAST($1 AS TEXT[])) AND status = 'held' RETURNING order_id) "
    "INSERT INTO settling (order_id) SELECT order_id FROM settled RETURNING order_id"};
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
// The same for many orders ($1; what they want in $2 to $4, of the products $5). A product that has
// too few units for all who want it refuses them all, so that who comes first is decided elsewhere.
constexpr Statement reserve_many_sql{
    "stock.reserve_many",
    "WITH mine AS MATERIALIZED (SELECT order_id FROM reservations "
    "WHERE order_id = ANY (CAST($1 AS TEXT[])) "
    "AND xmin = CAST(pg_current_xact_id_if_assigned() AS XID)), "
    "wanted AS MATERIALIZED (SELECT w.order_id, w.product_id, w.quantity FROM mine m "
    "JOIN unnest(CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), CAST($4 AS BIGINT[])) "
    "AS w (order_id, product_id, quantity) ON w.order_id = m.order_id), "
    "locked AS MATERIALIZED ("
    "SELECT product_id, available FROM stock WHERE product_id = ANY (CAST($5 AS TEXT[])) "
    "AND EXISTS (SELECT FROM mine) ORDER BY product_id FOR NO KEY UPDATE), "
    "offered AS MATERIALIZED ("
    "SELECT l.product_id, l.available, p.sku, p.name, p.price_micros, p.currency FROM locked l, "
    "LATERAL (SELECT * FROM products WHERE id = l.product_id OFFSET 0) p "
    "WHERE p.price_micros IS NOT NULL), "
    "short AS MATERIALIZED (SELECT w.product_id FROM wanted w "
    "LEFT JOIN offered o ON o.product_id = w.product_id GROUP BY w.product_id, o.available "
    "HAVING o.available IS NULL OR SUM(w.quantity) > o.available), "
    "refused AS MATERIALIZED (SELECT DISTINCT w.order_id FROM wanted w "
    "JOIN short s ON s.product_id = w.product_id), "
    "granted AS MATERIALIZED (SELECT w.order_id, w.product_id, w.quantity FROM wanted w "
    "WHERE NOT EXISTS (SELECT FROM refused r WHERE r.order_id = w.order_id)), "
    "undone AS (DELETE FROM reservations r USING refused f "
    "WHERE r.order_id = ANY (CAST($1 AS TEXT[])) AND r.order_id = f.order_id), "
    "taken AS (UPDATE stock SET available = stock.available - t.units, "
    "held = stock.held + t.units FROM (SELECT product_id, CAST(SUM(quantity) AS BIGINT) AS units "
    "FROM granted GROUP BY product_id) t WHERE stock.product_id = t.product_id), "
    "written AS (INSERT INTO holds (order_id, product_id, quantity, sku, name, price_micros, "
    "currency, status) SELECT g.order_id, g.product_id, g.quantity, o.sku, o.name, "
    "o.price_micros, o.currency, 'held' FROM granted g "
    "JOIN offered o ON o.product_id = g.product_id) "
    "SELECT product_id, sku, name, price_micros, currency, NULL FROM offered "
    "UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, order_id FROM mine m "
    "WHERE NOT EXISTS (SELECT FROM refused r WHERE r.order_id = m.order_id)"};

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

std::vector<std::optional<Reservation>> reservations_from(
    const Rows& rows, const std::vector<Wish>& wishes
) {
    std::unordered_map<std::string_view, std::size_t> offers;  // the row of a product
    std::unordered_set<std::string_view> granted;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].is_null(5))
            offers.emplace(rows[i].text(0), i);
        else
            granted.insert(rows[i].text(5));
    }
    std::vector<std::optional<Reservation>> out(wishes.size());
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (!granted.contains(wishes[i].order_id)) continue;
        Reservation& reservation = out[i].emplace();
        reservation.opened = true;
        for (const auto& [id, quantity] : wishes[i].quantities)
            reservation.holds.push_back(reserved_from(rows[offers.at(id)]));
    }
    return out;
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
    if (tx.dialect() == Dialect::postgres) {
        std::vector<std::string> one(1, order_id);
        auto done = co_await settle_reservations(tx, std::move(one), to, now);
        if (!done) co_return done.error();
        co_return !done->empty();
    }
    Params guarded = bind(order_id, to_text(to), now);
    auto settled = co_await tx.execute(settle_reservation_sql, std::move(guarded));
    if (!settled) co_return settled.error();
    if (settled->affected() == 0) co_return false;

    Params by_order = bind(std::move(order_id));
    auto moved = co_await tx.execute(move_units_sql, std::move(by_order));
    if (!moved) co_return moved.error();
    co_return true;
}

Task<Result<std::set<std::string>>> settle_reservations(
    Transaction& tx, std::vector<std::string> order_ids, ReservationStatus to, Timestamp now
) {
    std::set<std::string> settled;
    if (tx.dialect() == Dialect::postgres) {
        const std::vector<Value> ids(order_ids.begin(), order_ids.end());
        Params params = bind(array_text(ids), to_text(to), now);
        auto rows = co_await tx.execute(settle_at_once_sql, std::move(params));
        if (!rows) co_return rows.error();
        for (std::size_t i = 0; i < rows->size(); ++i)
            settled.insert((*rows)[i].string(0));
        co_return settled;
    }
    for (const std::string& id : order_ids) {
        auto one = co_await settle_reservation(tx, id, to, now);
        if (!one) co_return one.error();
        if (*one) settled.insert(id);
    }
    co_return settled;
}

Task<Result<Reservation>> reserve(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities, Timestamp now
) {
    if (tx.dialect() == Dialect::postgres)
        return reserve_at_once(tx, std::move(order_id), quantities, now);
    return reserve_in_steps(tx, std::move(order_id), quantities, now);
}

Task<Result<std::vector<std::optional<Reservation>>>> reserve_many(
    Transaction& tx, const std::vector<Wish>& wishes, Timestamp now
) {
    std::vector<Value> orders;
    std::vector<Value> columns[3];  // of all lines
    std::set<std::string_view> products;
    for (const Wish& wish : wishes) {
        Params row = bind(wish.order_id, "held", units_of(wish.quantities), now);
        auto opened = co_await tx.execute_later(insert_reservations_sql, std::move(row));
        if (!opened) co_return opened.error();
        orders.emplace_back(wish.order_id);
        for (const auto& [id, quantity] : wish.quantities) {
            columns[0].emplace_back(wish.order_id);
            columns[1].emplace_back(id);
            columns[2].emplace_back(quantity);
            products.insert(id);
        }
    }
    Params params = bind(array_text(orders));
    for (const auto& column : columns)
        params.emplace_back(array_text(column));
    std::vector<Value> distinct;
    for (const std::string_view id : products)
        distinct.emplace_back(std::string(id));
    params.emplace_back(array_text(distinct));
    auto rows = co_await tx.execute_last(reserve_many_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return reservations_from(*rows, wishes);
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

Task<Result<std::int64_t>> count_old_holds(
    Database& database, Timestamp before, Deadline deadline
) {
    Params params = bind(before);
    auto rows = co_await database.query(count_old_holds_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    co_return (*rows)[0].integer(0);
}

}  // namespace souk::product::store
