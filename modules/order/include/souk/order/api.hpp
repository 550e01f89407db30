// What other modules may ask of `order`: read orders.
#pragma once

#include "souk/context.hpp"
#include "souk/error.hpp"
#include "souk/money.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::order {

struct OrderLine {
    OrderLine(
        std::string product_id,
        std::string sku,
        std::string name,
        std::int64_t quantity,
        UnitPrice unit_price,
        std::int64_t total
    )
        : product_id(std::move(product_id))
        , sku(std::move(sku))
        , name(std::move(name))
        , quantity(quantity)
        , unit_price(unit_price)
        , total(total) {}
    std::string product_id;
    std::string sku;
    std::string name;
    std::int64_t quantity;
    UnitPrice unit_price;
    std::int64_t total;  // minor units of the order's currency
};

struct Order {
    Order(std::string id, std::string number, std::string user_id, std::string status, Money total)
        : id(std::move(id))
        , number(std::move(number))
        , user_id(std::move(user_id))
        , status(std::move(status))
        , total(total) {}
    std::string id;
    std::string number;  // for people: "SO-..."
    std::string user_id;
    std::string status;  // "pending", "paid", "cancelled"
    // "payment_declined", "payment_refunded", "payment_timeout", "by_customer"; else empty
    std::string cancel_reason;
    Money total;
    std::int64_t version = 1;
    Timestamp placed_at{};
    std::vector<OrderLine> lines;
};

class Api {
public:
    static constexpr std::string_view module_name = "order";
    virtual ~Api() = default;
    /// The orders among `ids` that exist, with their lines; at most 200 ids.
    virtual Task<Result<std::vector<Order>>> get_many(
        CallContext ctx, std::vector<std::string> ids
    ) = 0;
};

}  // namespace souk::order
