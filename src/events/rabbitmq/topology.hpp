// The exchange and the queues that the bus needs, the same from every process: declared again at
// each connect, which changes nothing when they are there and mends it when they are not. What was
// in a queue that is gone must be sent again by every publisher, in whatever process: an exchange
// without bindings is the mark of each that has done so, and whoever declares a queue that was
// missing removes its marks first.
#pragma once

#include "events/rabbitmq/connection.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"

#include <set>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

/// How a module's queue is declared, and that of its dead letters; other arguments are drift.
std::vector<QueueArgument> queue_arguments(const std::string& dead_queue);
std::vector<QueueArgument> dead_queue_arguments();

class Topology {
public:
    Topology(std::string prefix, std::vector<Listener> listeners);

    std::string exchange() const { return prefix_ + ".events"; }
    std::string queue(const std::string& module) const { return prefix_ + "." + module; }
    std::string dead_queue(const std::string& module) const { return queue(module) + ".dead"; }
    const std::vector<Listener>& listeners() const { return listeners_; }
    static bool hears(const Listener& listener, const std::string& publisher);
    /// Whether any module listens to that type.
    bool wanted(const std::string& type) const { return wanted_.contains(type); }

    /// Throws `Failure` "rabbitmq" when a queue is there with other properties (drift), with words
    /// that say how to mend it.
    void declare(Connection& connection) const;
    /// The listeners of `publisher` whose queue it has not filled. Declares queues that are
    /// missing.
    std::set<std::string> unmarked(Connection& connection, const std::string& publisher) const;
    void mark(Connection& connection, const std::string& module, const std::string& publisher)
        const;

private:
    std::string mark_of(const std::string& module, const std::string& publisher) const {
        return queue(module) + ".from." + publisher;
    }
    bool queue_is_missing(Connection& connection, const Listener& listener) const;

    std::string prefix_;
    std::vector<Listener> listeners_;
    std::set<std::string> wanted_;
};

}  // namespace souk::events::rabbitmq
