#include "http/decode.hpp"

#include "souk/id.hpp"

#include <fmt/format.h>

namespace souk::order::http_api {

namespace {

constexpr json::TextRule id_rule{1, 40, "id"};
constexpr json::TextRule reference_rule{1, 100};
constexpr json::TextRule token_rule{1, 200};
constexpr json::TextRule decimal_rule{1, 30};
constexpr json::TextRule time_rule{1, 40};
constexpr json::TextRule currency_rule{3, 3};
constexpr json::IntegerRule quantity_rule{1, domain::max_quantity};

std::string read_token(json::ObjectReader& in) {
    std::string token;
    in.object_at("payment", [&token](json::ObjectReader& payment) {
        token = payment.text("token", token_rule);
    });
    return token;
}

domain::Item read_item(json::ObjectReader& in) {
    std::string product_id = in.text("product_id", id_rule);
    return domain::Item(std::move(product_id), in.integer("quantity", quantity_rule), std::nullopt);
}

/// A missing member has its fault already; harmless then.
domain::Item read_priced_item(json::ObjectReader& in) {
    domain::Item item = read_item(in);
    item.given_price = UnitPrice::from_minor(0);
    const std::string decimal = in.text("unit_amount_decimal", decimal_rule);
    if (decimal.empty()) return item;
    auto price = UnitPrice::parse_minor_decimal(decimal);
    if (price)
        item.given_price = *price;
    else
        in.fault("unit_amount_decimal", price.error().code, price.error().detail);
    return item;
}

Timestamp read_time(json::ObjectReader& in, std::string_view name) {
    const std::string text = in.text(name, time_rule);
    if (text.empty()) return Timestamp();
    auto time = parse_rfc3339(text);
    if (time) return *time;
    in.fault(name, time.error().code, time.error().detail);
    return Timestamp();
}

}  // namespace

OrderInput read_order(json::ObjectReader& in) {
    OrderInput input;
    in.each("items", 1, domain::max_items, [&input](json::ObjectReader& item) {
        input.items.push_back(read_item(item));
    });
    input.payment_token = read_token(in);
    return input;
}

ImportInput read_import(json::ObjectReader& in) {
    ImportInput input;
    input.source = in.text("source", reference_rule);
    input.external_ref = in.text("external_ref", reference_rule);
    input.customer_id = in.text("customer_id", id_rule);
    if (!input.customer_id.empty() && !is_id(input.customer_id, "usr"))
        in.fault("customer_id", "format", "not the id of a customer");
    input.placed_at = read_time(in, "placed_at");
    input.currency = in.text("currency", currency_rule);
    in.each("items", 1, domain::max_items, [&input](json::ObjectReader& item) {
        input.order.items.push_back(read_priced_item(item));
    });
    input.order.payment_token = read_token(in);
    return input;
}

std::string content_hash(const ImportInput& input) {
    std::string text = fmt::format(
        "{}\n{}\n{}\n{}",
        input.customer_id,
        to_micros(input.placed_at),
        input.currency,
        input.order.payment_token
    );
    for (const domain::Item& item : input.order.items)
        text +=
            fmt::format("\n{} {} {}", item.product_id, item.quantity, item.given_price->micros());
    return sha256_hex(text);
}

}  // namespace souk::order::http_api
