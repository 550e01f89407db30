// What `souk verify` reads of this module, page by page.
#pragma once

#include "domain/product.hpp"
#include "souk/database.hpp"

#include <string>
#include <vector>

namespace souk::product::store {

struct StockRow {
    StockRow() = default;
    std::string product_id;
    std::string sku;
    domain::Stock stock;
};
Task<Result<std::vector<StockRow>>> audit_stock(
    Database& database, std::string after_product, std::size_t limit, Deadline deadline
);

struct ReservationRow {
    ReservationRow() = default;
    std::string order_id;
    std::string status;
    std::int64_t units = 0;
};
Task<Result<std::vector<ReservationRow>>> audit_reservations(
    Database& database, std::string after_order, std::size_t limit, Deadline deadline
);

}  // namespace souk::product::store
