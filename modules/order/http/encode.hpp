// Orders as JSON.
#pragma once

#include "app/queries.hpp"
#include "souk/json.hpp"
#include "souk/order/api.hpp"

#include <string>

namespace souk::order::http_api {

json::object to_json(const Order& order);
json::object to_json(const app::ImportSummary& summary, Currency currency);
json::object audit_json(const Order& order);
json::object audit_json(const app::UnfinishedIntent& intent, Timestamp now);

std::string render_order(const Order& order);
std::string render_problem(const Error& error, std::string_view request_id);
std::string etag_of(const Order& order);

}  // namespace souk::order::http_api
