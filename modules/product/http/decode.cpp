#include "http/decode.hpp"

#include <fmt/format.h>

#include <set>

namespace souk::product::http_api {

namespace {

constexpr json::TextRule sku_rule{1, 100};
constexpr json::TextRule name_rule{1, 300};
constexpr json::TextRule description_rule{0, 10'000};
constexpr json::TextRule category_rule{0, 100};
constexpr json::TextRule currency_rule{3, 3};
constexpr json::TextRule decimal_rule{1, 30};
constexpr json::IntegerRule stock_rule{0, domain::max_stock};

/// A missing or malformed member has its own fault already.
Currency read_currency(json::ObjectReader& in) {
    const std::string code = in.text("currency", currency_rule);
    if (code.empty()) return Currency::gbp();
    auto currency = Currency::parse(code);
    if (currency) return *currency;
    in.fault("currency", currency.error().code, currency.error().detail);
    return Currency::gbp();
}

Money read_price(json::ObjectReader& in) {
    const std::int64_t amount = in.integer("amount", json::IntegerRule{0, domain::max_price_minor});
    return Money(amount, read_currency(in));
}

domain::Product read_imported(json::ObjectReader& in) {
    const Currency currency = read_currency(in);
    domain::Product product(currency);
    product.sku = in.text("sku", sku_rule);
    product.name = in.text("name", name_rule);
    product.description = in.optional_text("description", description_rule).value_or("");
    product.category = in.optional_text("category", category_rule).value_or("");
    product.available = in.integer("stock", stock_rule);
    const auto decimal = in.optional_text("unit_amount_decimal", decimal_rule);
    if (!decimal) return product;
    auto price = UnitPrice::parse_minor_decimal(*decimal);
    if (price)
        product.price = *price;
    else
        in.fault("unit_amount_decimal", price.error().code, price.error().detail);
    return product;
}

}  // namespace

domain::Product read_new_product(json::ObjectReader& in) {
    Money price(0, Currency::gbp());
    in.object_at("price", [&price](json::ObjectReader& nested) { price = read_price(nested); });
    domain::Product product(price.currency);
    product.price = UnitPrice::from_minor(price.amount);
    product.sku = in.text("sku", sku_rule);
    product.name = in.text("name", name_rule);
    product.description = in.optional_text("description", description_rule).value_or("");
    product.category = in.optional_text("category", category_rule).value_or("");
    product.available = in.optional_integer("stock", stock_rule).value_or(0);
    return product;
}

app::ProductChange read_change(json::ObjectReader& in) {
    app::ProductChange change;
    change.name = in.optional_text("name", name_rule);
    change.description = in.optional_text("description", description_rule);
    change.category = in.optional_text("category", category_rule);
    in.optional_object("price", [&change](json::ObjectReader& nested) {
        change.price = read_price(nested);
    });
    return change;
}

std::int64_t read_delta(json::ObjectReader& in) {
    return in.integer("delta", json::IntegerRule{-domain::max_stock, domain::max_stock});
}

std::vector<domain::Product> read_import(json::ObjectReader& in) {
    std::vector<domain::Product> products;
    std::set<std::string> seen;
    in.each("items", 1, domain::max_import, [&products, &seen](json::ObjectReader& item) {
        products.push_back(read_imported(item));
        const std::string& sku = products.back().sku;
        if (!sku.empty() && !seen.insert(sku).second)
            item.fault("sku", "duplicate", "another item has the same SKU");
    });
    return products;
}

}  // namespace souk::product::http_api
