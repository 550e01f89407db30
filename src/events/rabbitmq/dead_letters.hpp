// The dead letters of a module: a queue beside its own, which an operator lists, sends again or
// forgets. All of it blocks, so it runs on a link's thread. One operator at a time: who lists holds
// the letters for that moment.
#pragma once

#include "events/event_bus.hpp"
#include "events/rabbitmq/connection.hpp"
#include "events/rabbitmq/topology.hpp"

#include <string>
#include <vector>

namespace souk::events::rabbitmq {

/// An event that has had its last try, on its way to them.
Outgoing dead_letter(
    const Topology& topology,
    const std::string& consumer,
    const Event& event,
    std::int64_t attempts,
    const std::string& error
);
/// What arrived and is no event. Keeps its bytes; gets `id` when it has none.
Outgoing malformed_letter(
    const Topology& topology,
    const std::string& consumer,
    const Incoming& message,
    const std::string& id,
    const std::string& error
);

/// The oldest ones, at most 1,000.
std::vector<DeadLetter> list_dead(
    Connection& connection, const Topology& topology, const std::string& consumer
);
/// Back to the module's queue, for another 5 tries. Errors: `not_found` "no_dead_letter",
/// `unavailable`.
Result<void> replay_dead(
    Connection& connection,
    const Topology& topology,
    const std::string& consumer,
    const std::string& event_id
);
/// Errors: `not_found` "no_dead_letter".
Result<void> drop_dead(
    Connection& connection,
    const Topology& topology,
    const std::string& consumer,
    const std::string& event_id
);

}  // namespace souk::events::rabbitmq
