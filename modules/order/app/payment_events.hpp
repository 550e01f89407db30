// What the payment module announces moves the order on.
#pragma once

#include "app/services.hpp"

namespace souk::order::app {

/// payment.captured: pending → paid. A capture behind a cancellation changes nothing here: payment
/// gives it back. An order that is not known yet is a gap().
Task<Result<void>> on_payment_captured(Services& services, Transaction& tx, const Event& event);
/// payment.declined: pending → cancelled (payment_declined).
Task<Result<void>> on_payment_declined(Services& services, Transaction& tx, const Event& event);

}  // namespace souk::order::app
