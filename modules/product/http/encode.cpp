#include "http/encode.hpp"

#include <fmt/format.h>

namespace souk::product::http_api {

namespace {

json::value price_json(const domain::Product& product) {
    if (!product.price) return json::value();
    json::object price;
    price["amount"] = product.price->rounded_minor();
    price["currency"] = product.currency.code();
    if (!product.price->is_whole()) price["unit_amount_decimal"] = product.price->minor_decimal();
    return price;
}

void add_stock(json::object& out, const domain::Stock& stock) {
    out["received"] = stock.received;
    out["available"] = stock.available;
    out["held"] = stock.held;
    out["sold"] = stock.sold;
}

}  // namespace

json::object to_json(const domain::Product& product) {
    json::object out;
    out["id"] = product.id;
    out["sku"] = product.sku;
    out["name"] = product.name;
    out["description"] = product.description;
    out["price"] = price_json(product);
    out["stock"] = product.available;
    out["category"] = product.category;
    out["created_at"] = to_rfc3339(product.created_at);
    return out;
}

json::object to_json(const app::ImportOutcome& outcome) {
    json::array data;
    for (const auto& imported : outcome.products) {
        json::object one;
        one["sku"] = imported.sku;
        one["id"] = imported.id;
        data.push_back(std::move(one));
    }
    json::object out;
    out["created"] = outcome.created;
    out["updated"] = outcome.updated;
    out["unchanged"] = outcome.unchanged;
    out["data"] = std::move(data);
    return out;
}

json::object to_json(const app::StockRow& row) {
    json::object out;
    out["kind"] = "stock";
    out["product_id"] = row.product_id;
    out["sku"] = row.sku;
    add_stock(out, row.stock);
    return out;
}

json::object to_json(const app::ReservationRow& row) {
    json::object out;
    out["kind"] = "reservation";
    out["order_id"] = row.order_id;
    out["status"] = row.status;
    out["units"] = row.units;
    return out;
}

std::string render_stock(const std::string& product_id, const domain::Stock& stock) {
    json::object out;
    out["product_id"] = product_id;
    add_stock(out, stock);
    return json::serialize(out);
}

std::string etag_of(const domain::Product& product) {
    return fmt::format("\"{}-{}\"", product.version, product.available);
}

}  // namespace souk::product::http_api
