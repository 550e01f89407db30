// A definite answer of the provider becomes true here: attempt, payment, ledger and event in one
// transaction. Settling twice is harmless: the second finds nothing to settle.
#pragma once

#include "app/provider.hpp"
#include "domain/payment.hpp"
#include "souk/events.hpp"

namespace souk::payment::app {

/// A capture behind a raised fence is booked, and its refund is queued. Errors: the database's;
/// `conflict` when the ledger refuses the set.
Task<Result<void>> settle_charge(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
);
/// Errors: as above; `internal` "refund_refused" when the provider refused: a person must look.
Task<Result<void>> settle_refund(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
);

}  // namespace souk::payment::app
