// A customer cancels an order that is not paid. The payment module decides: only when it promises
// that no charge will happen any more is the order cancelled.
#pragma once

#include "app/services.hpp"
#include "souk/order/api.hpp"

#include <string>

namespace souk::order::app {

struct CancelCommand {
    CancelCommand() = default;
    std::string caller;
    std::string key;
    std::string order_id;
    std::string body;  // as sent
};

struct CancelAnswer {
    CancelAnswer() = default;
    CancelAnswer(std::string body, bool replayed) : body(std::move(body)), replayed(replayed) {}
    std::string body;
    bool replayed = false;
};

using RenderOrder = std::string (*)(const Order& order);

/// Errors: `not_found` (also for another's order), `conflict` "already_paid", "already_cancelled",
/// "payment_in_progress" (ask again), `unprocessable` "idempotency_key_reused".
Task<Result<CancelAnswer>> cancel_order(
    Services& services, CallContext ctx, CancelCommand command, RenderOrder render
);

}  // namespace souk::order::app
