// Ends what nobody else ends: intents whose client never came back, and orders whose payment never
// did. In batches; what cannot be ended now is tried again by the next sweep.
#pragma once

#include "app/services.hpp"
#include "store/orders.hpp"

namespace souk::order::app {

class Sweeper {
public:
    explicit Sweeper(Services& services) : services_(services) {}
    Task<void> sweep();

private:
    Task<Result<void>> end_abandoned_intents();
    Task<Result<void>> cancel_overdue_orders();
    CallContext context() const;

    Services& services_;
    store::PendingOrder after_;  // so that orders that cannot be ended yet don't block later ones
};

}  // namespace souk::order::app
