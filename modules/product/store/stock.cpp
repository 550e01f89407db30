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
constexpr Statement find_reservation_sql{
    "stock.find_reservation", "SELECT status FROM reservations WHERE order_id = $1"};
constexpr Statement settle_reservation_sql{
    "stock.settle_reservation",
    "UPDATE reservations SET status = $2, updated_at = $3 "
    "WHERE order_id = $1 AND status = 'held'"};
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
constexpr Statement orderable_sql{
    "stock.orderable", "SELECT 1 FROM products WHERE id = $1 AND price_micros IS NOT NULL"};
constexpr Statement read_holds_sql{
    "stock.read_holds",
    "SELECT product_id, sku, name, price_micros, currency FROM holds WHERE order_id = $1 "
    "ORDER BY product_id"};

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

Task<Result<std::vector<std::string>>> unknown_products(
    Transaction& tx, std::vector<std::string> ids
) {
    std::vector<Params> params;
    for (const std::string& id : ids)
        params.push_back(bind(id));
    auto found = co_await tx.execute_all(orderable_sql, std::move(params));
    if (!found) co_return found.error();
    std::vector<std::string> unknown;
    for (std::size_t i = 0; i < ids.size(); ++i)
        if ((*found)[i].empty()) unknown.push_back(ids[i]);
    co_return unknown;
}

Task<Result<std::vector<ReservedProduct>>> read_holds(Transaction& tx, std::string order_id) {
    Params params = bind(std::move(order_id));
    auto rows = co_await tx.execute(read_holds_sql, std::move(params));
    if (!rows) co_return rows.error();
    std::vector<ReservedProduct> products;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const auto row = (*rows)[i];
        products.emplace_back(
            row.string(0),
            row.string(1),
            row.string(2),
            UnitPrice::from_micros(row.integer(3)),
            Currency::parse(row.text(4)).value()
        );
    }
    co_return products;
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
