// The use cases' results as JSON.
#pragma once

#include "app/import_products.hpp"
#include "app/queries.hpp"
#include "domain/product.hpp"
#include "souk/json.hpp"

#include <string>

namespace souk::product::http_api {

json::object to_json(const domain::Product& product);
json::object to_json(const app::ImportOutcome& outcome);
json::object to_json(const app::StockRow& row);
json::object to_json(const app::ReservationRow& row);
std::string render_stock(const std::string& product_id, const domain::Stock& stock);

/// The row's version, then the stock, which changes without it: "3-120".
std::string etag_of(const domain::Product& product);

}  // namespace souk::product::http_api
