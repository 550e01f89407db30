#include "http/encode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace souk::product::http_api {

namespace {

constexpr std::size_t usual_size = 512;  // of a product

void add_integer(std::string& out, std::int64_t value) {
    const fmt::format_int text(value);
    out.append(text.data(), text.size());
}

void add_escaped(std::string& out, char c) {
    constexpr std::string_view plain = "\"\\\b\f\n\r\t";
    constexpr std::string_view letters = "\"\\bfnrt";
    const auto known = plain.find(c);
    if (known != std::string_view::npos) {
        out += '\\';
        out += letters[known];
    } else {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    }
}

/// Texts are UTF-8 here, in the database as on the way in.
void add_text(std::string& out, std::string_view text) {
    const auto is_special = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
    };
    out += '"';
    while (!text.empty()) {
        const auto end = std::find_if(text.begin(), text.end(), is_special) - text.begin();
        out.append(text.substr(0, static_cast<std::size_t>(end)));
        text.remove_prefix(static_cast<std::size_t>(end));
        if (text.empty()) break;
        add_escaped(out, text.front());
        text.remove_prefix(1);
    }
    out += '"';
}

void add_price(std::string& out, const domain::Product& product) {
    if (!product.price) {
        out += "null";
        return;
    }
    out += "{\"amount\":";
    add_integer(out, product.price->rounded_minor());
    out += ",\"currency\":";
    add_text(out, product.currency.code());
    if (!product.price->is_whole()) {
        out += ",\"unit_amount_decimal\":";
        add_text(out, product.price->minor_decimal());
    }
    out += '}';
}

void add_product(std::string& out, const domain::Product& product) {
    out += "{\"id\":";
    add_text(out, product.id);
    out += ",\"sku\":";
    add_text(out, product.sku);
    out += ",\"name\":";
    add_text(out, product.name);
    out += ",\"description\":";
    add_text(out, product.description);
    out += ",\"price\":";
    add_price(out, product);
    out += ",\"stock\":";
    add_integer(out, product.available);
    out += ",\"category\":";
    add_text(out, product.category);
    out += ",\"created_at\":";
    add_text(out, to_rfc3339(product.created_at));
    out += '}';
}

void add_stock(json::object& out, const domain::Stock& stock) {
    out["received"] = stock.received;
    out["available"] = stock.available;
    out["held"] = stock.held;
    out["sold"] = stock.sold;
}

}  // namespace

std::string render(const domain::Product& product) {
    std::string out;
    out.reserve(usual_size + product.description.size());
    add_product(out, product);
    return out;
}

std::string render_page(
    const std::vector<domain::Product>& products, std::size_t count, std::string_view next
) {
    std::string out;
    out.reserve(usual_size * (count + 1));
    out += "{\"data\":[";
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) out += ',';
        add_product(out, products[i]);
    }
    out += next.empty() ? "],\"has_more\":false,\"next_cursor\":null}"
                        : "],\"has_more\":true,\"next_cursor\":";
    if (next.empty()) return out;
    add_text(out, next);
    out += '}';
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
    std::string etag = "\"";
    add_integer(etag, product.version);
    etag += '-';
    add_integer(etag, product.available);
    etag += '"';
    return etag;
}

}  // namespace souk::product::http_api
