// A definite answer of the provider becomes true here: attempt, payment, ledger and event in one
// transaction. Settling twice is harmless: the second finds nothing to settle.
#pragma once

#include "app/provider.hpp"
#include "domain/payment.hpp"
#include "souk/events.hpp"

#include <vector>

namespace souk::payment::app {

struct Answered {
    Answered(domain::Attempt attempt, Answer answer)
        : attempt(std::move(attempt)), answer(std::move(answer)) {}
    domain::Attempt attempt;
    Answer answer;
};

/// The answers to charges of different orders, together. A capture behind a raised fence is booked,
/// and its refund is queued. Errors: the database's; `conflict` when the ledger refuses a set.
Task<Result<void>> settle_charges(
    Transaction& tx, const Clock& clock, const std::vector<Answered>& charges
);
/// Errors: as above; `internal` "refund_refused" when the provider refused: a person must look.
Task<Result<void>> settle_refund(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
);

}  // namespace souk::payment::app
