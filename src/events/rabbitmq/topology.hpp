// The exchange and the queues that the bus needs, the same from every process: declared again at
// each connect, which changes nothing when they are there and mends it when they are not.
#pragma once

#include "events/rabbitmq/connection.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"

#include <set>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

class Topology {
public:
    Topology(std::string prefix, std::vector<Listener> listeners);

    std::string exchange() const { return prefix_ + ".events"; }
    std::string queue(const std::string& module) const { return prefix_ + "." + module; }
    std::string dead_queue(const std::string& module) const { return queue(module) + ".dead"; }
    const std::vector<Listener>& listeners() const { return listeners_; }
    /// Whether any module listens to that type.
    bool wanted(const std::string& type) const { return wanted_.contains(type); }

    /// Throws `Failure` "rabbitmq" when a queue is there with other properties (drift), with words
    /// that say how to mend it.
    void declare(Connection& connection) const;

private:
    std::string prefix_;
    std::vector<Listener> listeners_;
    std::set<std::string> wanted_;
};

}  // namespace souk::events::rabbitmq
