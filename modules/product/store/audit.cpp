#include "store/audit.hpp"

namespace souk::product::store {

namespace {

constexpr Statement stock_sql{
    "product.audit_stock",
    "SELECT s.product_id, p.sku, s.received, s.available, s.held, s.sold FROM stock s "
    "JOIN products p ON p.id = s.product_id WHERE s.product_id > $1 "
    "ORDER BY s.product_id LIMIT $2"};
constexpr Statement reservations_sql{
    "product.audit_reservations",
    "SELECT order_id, status, units FROM reservations WHERE order_id > $1 "
    "ORDER BY order_id LIMIT $2"};

}  // namespace

Task<Result<std::vector<StockRow>>> audit_stock(
    Database& database, std::string after_product, std::size_t limit, Deadline deadline
) {
    Params params = bind(std::move(after_product), limit);
    auto rows = co_await database.query(stock_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::vector<StockRow> out(rows->size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto row = (*rows)[i];
        out[i].product_id = row.string(0);
        out[i].sku = row.string(1);
        out[i].stock.received = row.integer(2);
        out[i].stock.available = row.integer(3);
        out[i].stock.held = row.integer(4);
        out[i].stock.sold = row.integer(5);
    }
    co_return out;
}

Task<Result<std::vector<ReservationRow>>> audit_reservations(
    Database& database, std::string after_order, std::size_t limit, Deadline deadline
) {
    Params params = bind(std::move(after_order), limit);
    auto rows = co_await database.query(reservations_sql, std::move(params), deadline);
    if (!rows) co_return rows.error();
    std::vector<ReservationRow> out(rows->size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto row = (*rows)[i];
        out[i].order_id = row.string(0);
        out[i].status = row.string(1);
        out[i].units = row.integer(2);
    }
    co_return out;
}

}  // namespace souk::product::store
