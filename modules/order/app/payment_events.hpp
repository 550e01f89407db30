// What the payment module announces moves the order on.
#pragma once

#include "app/services.hpp"

#include <span>

namespace souk::order::app {

/// payment.captured: pending → paid. A capture behind a cancellation changes nothing here: payment
/// gives it back. An order that is not known yet is a gap().
Task<Result<void>> on_payments_captured(
    Services& services, Transaction& tx, std::span<const Event> events
);
/// payment.declined: pending → cancelled (payment_declined).
Task<Result<void>> on_payment_declined(Services& services, Transaction& tx, const Event& event);
/// payment.refunded: pending → cancelled (payment_refunded). It comes when a charge that was with
/// the provider turned out to be a capture after void_order had fenced it. A paid order stays as it
/// is.
Task<Result<void>> on_payment_refunded(Services& services, Transaction& tx, const Event& event);

}  // namespace souk::order::app
