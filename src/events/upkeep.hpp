// The loop of a bus that forgets old inbox rows, once a minute.
#pragma once

#include "events/bus_context.hpp"
#include "events/inbox.hpp"

#include <memory>
#include <vector>

namespace souk::events {

class Upkeep {
public:
    explicit Upkeep(std::shared_ptr<BusContext> bus)
        : bus_(std::move(bus)), wakeup_(bus_->executor, bus_->clock) {}

    void add(std::shared_ptr<Inbox> inbox) { inboxes_.push_back(std::move(inbox)); }
    /// Until the bus stops. Keeps `self` alive.
    static Task<void> run(std::shared_ptr<Upkeep> self);
    void notify() { wakeup_.notify(); }

private:
    Task<Result<void>> prune(std::shared_ptr<Inbox> inbox);

    std::shared_ptr<BusContext> bus_;
    Wakeup wakeup_;
    std::vector<std::shared_ptr<Inbox>> inboxes_;
};

}  // namespace souk::events
