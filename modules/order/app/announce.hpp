// The events of an order, each appended in the transaction that makes it true; its commit wakes the
// relay.
#pragma once

#include "app/services.hpp"
#include "souk/order/api.hpp"
#include "store/orders.hpp"

#include <map>
#include <set>
#include <string>

namespace souk::order::app {

Task<Result<void>> announce_placed(
    Services& services,
    Transaction& tx,
    const Order& order,
    std::string payment_token,
    std::string traceparent
);

/// pending → paid with order.paid: the orders (and the traces that paid them) that were pending.
Task<Result<std::set<std::string>>> pay(
    Services& services, Transaction& tx, std::map<std::string, std::string> traces
);
/// pending → cancelled with order.cancelled. False when the order was not pending: nothing happens.
Task<Result<bool>> cancel(
    Services& services,
    Transaction& tx,
    std::string order_id,
    std::string_view reason,
    std::string traceparent,
    store::WhenLocked when_locked
);

}  // namespace souk::order::app
