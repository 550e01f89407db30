// order.placed arrives: what there is to charge becomes a row in the work queue.
#pragma once

#include "souk/events.hpp"

namespace souk::payment::app {

/// Writes the payment and its first attempt in the inbox's transaction. A raised fence makes it a
/// voided payment without an attempt; an amount of zero is captured at once, without the provider
/// and without a ledger entry (no money moved). A repeat does nothing. Errors: `invalid` for an
/// event that can't be read; the database's.
Task<Result<void>> accept_order(Transaction& tx, const Clock& clock, Event event);

}  // namespace souk::payment::app
