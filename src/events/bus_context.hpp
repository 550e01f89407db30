// What all loops of a bus share.
#pragma once

#include "events/event_bus.hpp"
#include "souk/background.hpp"

#include <cstddef>
#include <functional>
#include <string>

namespace souk::events {

struct BusContext {
    BusContext(Executor executor, Clock& clock, Metrics& metrics, BusRules options)
        : executor(executor)
        , clock(clock)
        , metrics(metrics)
        , options(options)
        , finished(executor, clock) {}
    /// A loop has ended.
    void end_loop() {
        --running;
        finished.notify();
    }

    Executor executor;
    Clock& clock;
    Metrics& metrics;
    BusRules options;
    bool stopping = false;
    std::size_t running = 0;  // loops
    Wakeup finished;          // notified when a loop ends
    // A handler of that module has committed, and with it perhaps events of its own: who relays
    // them need not wait for its poll.
    std::function<void(const std::string& module)> took_effect;
};

}  // namespace souk::events
