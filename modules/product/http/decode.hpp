// JSON into the use cases' inputs. Each reader is also what documents its body in OpenAPI.
#pragma once

#include "app/update_product.hpp"
#include "domain/product.hpp"
#include "souk/json.hpp"

#include <vector>

namespace souk::product::http_api {

domain::Product read_new_product(json::ObjectReader& in);
app::ProductChange read_change(json::ObjectReader& in);
std::int64_t read_delta(json::ObjectReader& in);
std::vector<domain::Product> read_import(json::ObjectReader& in);

}  // namespace souk::product::http_api
