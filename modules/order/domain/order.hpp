// The rules of an order that need no database: what it costs, what it is called, and which payment
// tokens are taken.
#pragma once

#include "souk/error.hpp"
#include "souk/money.hpp"
#include "souk/order/api.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::order::domain {

inline constexpr std::size_t max_items = 500;
inline constexpr std::int64_t max_quantity = 1'000'000;
inline constexpr std::size_t max_page = 100;
inline constexpr std::size_t max_audit_page = 1000;

struct Item {
    Item(std::string product_id, std::int64_t quantity, std::optional<UnitPrice> given_price)
        : product_id(std::move(product_id)), quantity(quantity), given_price(given_price) {}
    std::string product_id;
    std::int64_t quantity;
    std::optional<UnitPrice> given_price;  // only of imported orders
};

/// A product as it is sold at this moment.
struct Offer {
    Offer(
        std::string product_id,
        std::string sku,
        std::string name,
        UnitPrice unit_price,
        Currency currency
    )
        : product_id(std::move(product_id))
        , sku(std::move(sku))
        , name(std::move(name))
        , unit_price(unit_price)
        , currency(currency) {}
    std::string product_id;
    std::string sku;
    std::string name;
    UnitPrice unit_price;
    Currency currency;
};

struct Priced {
    explicit Priced(Money total) : total(total) {}
    std::vector<OrderLine> lines;
    Money total;
    std::int64_t units = 0;
};

/// Lines and total of `items` at the prices of `products` (every product of `items` is there), or
/// at the given ones; a line is rounded half up once. Errors: `invalid` "currency_mismatch" when a
/// product is not sold in `currency`, "amount_too_large".
Result<Priced> price_order(
    const std::vector<Item>& items, const std::vector<Offer>& offers, Currency currency
);

/// "SO-261123-7K3M9QXA": the day and 40 bits of the id's hash. `attempt` gives another one should
/// it be taken.
std::string order_number(std::string_view order_id, Timestamp placed_at, int attempt);

/// Errors: `unprocessable` "card_number_refused" for what looks like a card's number, `invalid`
/// "validation_failed" for what is no provider's token.
Result<void> check_payment_token(std::string_view token);

/// 13 to 19 digits, also in groups, with a right check digit (Luhn).
bool looks_like_card(std::string_view text);

}  // namespace souk::order::domain
