// What other modules may ask of `payment`: that an order shall not be charged any more.
#pragma once

#include "souk/context.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace souk::payment {

enum class VoidOutcome : std::uint8_t {
    fenced,    // nothing was charged and nothing will be
    captured,  // the money was taken already: payment.captured is on its way
    unknown,   // an attempt is with the provider; ask again later
};

class Api {
public:
    static constexpr std::string_view module_name = "payment";
    virtual ~Api() = default;
    /// Fences every later charge of the order, even before order.placed has arrived here.
    /// Idempotent. A capture that turns out to have happened after a fence is refunded.
    virtual Task<Result<VoidOutcome>> void_order(CallContext ctx, std::string order_id) = 0;
};

}  // namespace souk::payment
