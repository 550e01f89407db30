// What other modules may ask of `product`: hold stock for an order and let it go again. Committing
// a hold is done by the event order.paid, releasing one by order.cancelled or by release().
#pragma once

#include "souk/context.hpp"
#include "souk/error.hpp"
#include "souk/money.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::product {

struct ReserveLine {
    ReserveLine(std::string product_id, std::int64_t quantity)
        : product_id(std::move(product_id)), quantity(quantity) {}
    std::string product_id;
    std::int64_t quantity;  // > 0
};

struct ReservedProduct {
    ReservedProduct(
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
    UnitPrice unit_price;  // the price at the moment of the hold
    Currency currency;
};

class Api {
public:
    static constexpr std::string_view module_name = "product";
    virtual ~Api() = default;
    /// Holds stock for the order, all lines or none; quantities of one product are summed.
    /// Idempotent by `order_id`: a repeat answers what the first answered. Each product once, in
    /// ascending order of id. Errors: `invalid` "unknown_product" (a FieldError for each, pointer
    /// /items/N), `conflict` "out_of_stock" (likewise), `conflict` "order_released" when release()
    /// came before.
    virtual Task<Result<std::vector<ReservedProduct>>> reserve(
        CallContext ctx, std::string order_id, std::vector<ReserveLine> lines
    ) = 0;
    /// Gives a hold back and leaves a tombstone that refuses a later reserve() of the same order.
    /// Idempotent; succeeds when there is no hold. Errors: `conflict` "hold_committed" when the
    /// order was paid.
    virtual Task<Result<void>> release(CallContext ctx, std::string order_id) = 0;
};

}  // namespace souk::product
