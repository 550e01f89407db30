// The first commit of an order: the right to work on it, or the answer that it has already.
#pragma once

#include "app/place_order.hpp"
#include "store/intents.hpp"

#include <optional>

namespace souk::order::app {

struct Claim {
    Claim() = default;
    store::Lease lease;
    std::optional<PlaceAnswer> answer;         // the key has its final answer
    std::optional<store::Imported> duplicate;  // the import came before, under another key
};

/// Errors: `conflict` "idempotency_in_flight", `unprocessable` "idempotency_key_reused".
Task<Result<Claim>> claim(Services& services, const PlaceCommand& command, Deadline deadline);

/// The work of Services::claims.
Task<Claims::Answers> claim_together(Services& services, std::vector<ClaimRequest> requests);

/// After a failure that is not final: ends the lease (`reopen`: the order id stays, since stock may
/// be held for it) or forgets the intent (`forget`: nothing is held). Best effort; the sweeper
/// repairs what fails.
Task<void> reopen(Services& services, store::Lease lease);
Task<void> forget(Services& services, store::Lease lease);

/// "Somebody else works on it."
Error in_flight();

}  // namespace souk::order::app
