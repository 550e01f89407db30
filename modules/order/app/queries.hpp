// What is read of orders, without a change.
#pragma once

#include "app/services.hpp"
#include "store/intents.hpp"
#include "store/orders.hpp"

namespace souk::order::app {

using store::ImportSummary;
using store::Position;
using store::UnfinishedIntent;

/// Errors: `not_found`, also for another's order, unless the caller may read all.
Task<Result<Order>> get_order(Services& services, CallContext ctx, std::string id);
/// The caller's own, newest first.
Task<Result<std::vector<Order>>> list_orders(
    Services& services, CallContext ctx, Position after, std::size_t limit
);
Task<Result<ImportSummary>> summarize_import(
    Services& services, std::string source, Deadline deadline
);

/// For the audit: all rows after an id, by id.
Task<Result<std::vector<Order>>> audit_orders(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
);
Task<Result<std::vector<UnfinishedIntent>>> audit_intents(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
);

}  // namespace souk::order::app
