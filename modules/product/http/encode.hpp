// The use cases' results as JSON.
#pragma once

#include "app/import_products.hpp"
#include "app/queries.hpp"
#include "domain/product.hpp"
#include "souk/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::product::http_api {

/// As text, and without values in between: it is what the shop is asked for most.
std::string render(const domain::Product& product);
/// A page of the first `count`; `next`: its next_cursor, empty when it is the last one.
std::string render_page(
    const std::vector<domain::Product>& products, std::size_t count, std::string_view next
);
json::object to_json(const app::ImportOutcome& outcome);
json::object to_json(const app::StockRow& row);
json::object to_json(const app::ReservationRow& row);
std::string render_stock(const std::string& product_id, const domain::Stock& stock);

/// The row's version, then the stock, which changes without it: "3-120".
std::string etag_of(const domain::Product& product);

}  // namespace souk::product::http_api
