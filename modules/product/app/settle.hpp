// The end of a hold: released when the order is cancelled, committed when it is paid.
#pragma once

#include "app/services.hpp"
#include "souk/events.hpp"

#include <span>
#include <string>

namespace souk::product::app {

/// Errors: those of Api::release().
Task<Result<void>> release(Services& services, std::string order_id, Deadline deadline);

/// Handlers of order.paid and order.cancelled. Both are idempotent and succeed without a hold.
Task<Result<void>> on_orders_paid(
    Services& services, Transaction& tx, std::span<const Event> events
);
Task<Result<void>> on_order_cancelled(Services& services, Transaction& tx, const Event& event);

}  // namespace souk::product::app
