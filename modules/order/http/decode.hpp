// JSON into the use cases' inputs. Each reader is also what documents its body in OpenAPI.
#pragma once

#include "domain/order.hpp"
#include "souk/json.hpp"

#include <string>
#include <vector>

namespace souk::order::http_api {

struct OrderInput {
    OrderInput() = default;
    std::vector<domain::Item> items;
    std::string payment_token;
};
OrderInput read_order(json::ObjectReader& in);

struct ImportInput {
    ImportInput() = default;
    OrderInput order;
    std::string source;
    std::string external_ref;
    std::string customer_id;
    std::string currency;
    Timestamp placed_at{};
};
ImportInput read_import(json::ObjectReader& in);

/// A hash of what an import says, however its JSON is written.
std::string content_hash(const ImportInput& input);

}  // namespace souk::order::http_api
