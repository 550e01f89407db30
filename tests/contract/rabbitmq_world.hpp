// The bus over a real broker in a BusWorld: each world has a prefix of its own, so its exchange and
// queues are its own. The clock stays the test's; the broker's threads are real.
#pragma once

#include "contract/bus_world.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"
#include "support/services.hpp"

#include <string>

namespace souk::test {

/// Of all modules that listen in `world`.
inline events::RabbitMqOptions rabbitmq_options(const BusWorld& world, std::string url) {
    events::RabbitMqOptions options;
    options.url = std::move(url);
    options.prefix = world.name();
    for (const auto& [module, types] : world.listeners())
        options.listeners.emplace_back(module, types);
    return options;
}

/// Whether all that the broker could bring has arrived. What lies in a queue stays there as long as
/// its consumer has its hands full.
inline bool broker_at_rest(BusWorld& world) {
    (void)world.run(world.bus().idle());  // looks at the queues
    for (const auto& [module, types] : world.listeners()) {
        const std::string label = "{consumer=\"" + module + "\"}";
        const double ready = world.metric("rabbitmq_ready_events" + label);
        const double in_hand = world.metric("rabbitmq_unacknowledged_events" + label);
        if (ready > 0 && in_hand < 256) return false;
    }
    return true;
}

inline BusWorld::Kind rabbitmq_kind() {
    BusWorld::Kind kind{};
    kind.make = [](BusWorld& world) {
        std::string url = Services::shared().rabbitmq_url();
        return events::make_rabbitmq_bus(
            world.io.get_executor(),
            world.clock,
            *world.metrics,
            rabbitmq_options(world, std::move(url))
        );
    };
    kind.loops = [](const BusWorld& world) {
        return world.publishers().size() + world.listeners().size() + 1;
    };
    kind.nothing_under_way = broker_at_rest;
    kind.commits_for_10_000 = 1500;  // it arrives as the network brings it
    return kind;
}

}  // namespace souk::test
