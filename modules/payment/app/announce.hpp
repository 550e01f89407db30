// The events of a payment, appended in the transaction that makes them true.
#pragma once

#include "domain/payment.hpp"
#include "souk/events.hpp"

namespace souk::payment::app {

/// `version` is the payment's after the change. Errors: the database's.
Task<Result<void>> announce_captured(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    Money total,
    std::int64_t version
);
Task<Result<void>> announce_refunded(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    Money total,
    std::int64_t version
);
Task<Result<void>> announce_declined(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    std::string reason,
    std::int64_t version
);

}  // namespace souk::payment::app
