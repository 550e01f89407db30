#include "http/encode.hpp"

#include "souk/http.hpp"

#include <fmt/format.h>

namespace souk::order::http_api {

namespace {

json::object money_json(const Money& money) {
    json::object out;
    out["amount"] = money.amount;
    out["currency"] = money.currency.code();
    return out;
}

json::object line_json(const OrderLine& line) {
    json::object out;
    out["product_id"] = line.product_id;
    out["sku"] = line.sku;
    out["name"] = line.name;
    out["quantity"] = line.quantity;
    out["unit_amount"] = line.unit_price.rounded_minor();
    if (!line.unit_price.is_whole()) out["unit_amount_decimal"] = line.unit_price.minor_decimal();
    out["total"] = line.total;
    return out;
}

}  // namespace

json::object to_json(const Order& order) {
    json::array items;
    items.reserve(order.lines.size());
    for (const OrderLine& line : order.lines)
        items.push_back(line_json(line));
    json::object out;
    out["id"] = order.id;
    out["number"] = order.number;
    out["status"] = order.status;
    if (!order.cancel_reason.empty()) out["cancel_reason"] = order.cancel_reason;
    out["total"] = money_json(order.total);
    out["items"] = std::move(items);
    out["placed_at"] = to_rfc3339(order.placed_at);
    return out;
}

json::object to_json(const app::ImportSummary& summary, Currency currency) {
    json::object orders;
    orders["placed"] = summary.placed;
    orders["pending"] = summary.pending;
    orders["paid"] = summary.paid;
    orders["cancelled"] = summary.cancelled;
    json::object out;
    out["orders"] = std::move(orders);
    out["units"] = summary.units;
    out["value"] = money_json(Money(summary.value, currency));
    out["lines"] = summary.lines;
    return out;
}

json::object audit_json(const Order& order) {
    json::array lines;
    std::int64_t units = 0;
    for (const OrderLine& line : order.lines) {
        json::object one;
        one["product_id"] = line.product_id;
        one["quantity"] = line.quantity;
        lines.push_back(std::move(one));
        units += line.quantity;
    }
    json::object out;
    out["kind"] = "order";
    out["order_id"] = order.id;
    out["number"] = order.number;
    out["user_id"] = order.user_id;
    out["status"] = order.status;
    out["amount"] = order.total.amount;
    out["currency"] = order.total.currency.code();
    out["units"] = units;
    out["version"] = order.version;
    out["lines"] = std::move(lines);
    return out;
}

json::object audit_json(const app::UnfinishedIntent& intent, Timestamp now) {
    json::object out;
    out["kind"] = "intent";
    out["order_id"] = intent.order_id;
    out["status"] = intent.status;
    out["lease_expired"] = intent.lease_until <= now;
    return out;
}

std::string render_order(const Order& order) {
    return json::serialize(to_json(order));
}

std::string render_problem(const Error& error, std::string_view request_id) {
    return http::Response::problem(error, request_id).body;
}

std::string etag_of(const Order& order) {
    return fmt::format("\"{}\"", order.version);
}

}  // namespace souk::order::http_api
