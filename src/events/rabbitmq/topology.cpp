#include "events/rabbitmq/topology.hpp"

#include <algorithm>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr std::uint16_t channel = 1;
constexpr std::uint16_t looking_channel = 4;  // asking for what is not there costs it
// A far backstop: it counts lost consumers, too, and drops into the dead letters at most once.
constexpr std::int64_t delivery_limit = 100;
// Listing dead letters takes them and gives them back.
constexpr std::int64_t dead_delivery_limit = 1'000'000;

void declare_queue(
    Connection& connection, const std::string& name, const std::vector<QueueArgument>& arguments
) {
    try {
        connection.declare_queue(channel, name, arguments);
    } catch (const Failure& failure) {
        std::string detail = failure.error.detail;
        if (detail.find("PRECONDITION_FAILED") != std::string::npos)
            detail += ". The queue " + name +
                      " was declared otherwise than this version wants it: let it run empty, stop"
                      " every souk process first, delete it (rabbitmqctl delete_queue " +
                      name + "), and start again; or set another rabbitmq prefix";
        throw Failure(unavailable("rabbitmq", detail));
    }
}

/// `exists` asks for one thing.
template <class Exists>
bool there(Connection& connection, Exists exists) {
    connection.open_channel(looking_channel);
    if (!exists()) return false;
    connection.close_channel(looking_channel);
    return true;
}

std::set<std::string> publishers_of(const Listener& listener) {
    std::set<std::string> all;
    for (const std::string& type : listener.types)
        all.insert(type.substr(0, type.find('.')));
    return all;
}

}  // namespace

std::vector<QueueArgument> queue_arguments(const std::string& dead_queue) {
    std::vector<QueueArgument> all;
    all.emplace_back("x-queue-type", "quorum");
    all.emplace_back("x-single-active-consumer", 1, Argument::flag);
    all.emplace_back("x-delivery-limit", delivery_limit, Argument::number);
    all.emplace_back("x-dead-letter-exchange", "");
    all.emplace_back("x-dead-letter-routing-key", dead_queue);
    return all;
}

std::vector<QueueArgument> dead_queue_arguments() {
    std::vector<QueueArgument> all;
    all.emplace_back("x-queue-type", "quorum");
    all.emplace_back("x-delivery-limit", dead_delivery_limit, Argument::number);
    return all;
}

Topology::Topology(std::string prefix, std::vector<Listener> listeners)
    : prefix_(std::move(prefix)), listeners_(std::move(listeners)) {
    for (const Listener& listener : listeners_)
        wanted_.insert(listener.types.begin(), listener.types.end());
}

bool Topology::hears(const Listener& listener, const std::string& publisher) {
    return publishers_of(listener).contains(publisher);
}

void Topology::declare(Connection& connection) const {
    connection.open_channel(channel);
    connection.declare_exchange(channel, exchange());
    for (const Listener& listener : listeners_) {
        const std::string dead = dead_queue(listener.module);
        declare_queue(connection, dead, dead_queue_arguments());
        if (queue_is_missing(connection, listener))
            for (const std::string& publisher : publishers_of(listener))
                connection.delete_exchange(channel, mark_of(listener.module, publisher));
        declare_queue(connection, queue(listener.module), queue_arguments(dead));
        for (const std::string& type : listener.types)
            connection.bind(channel, queue(listener.module), exchange(), type);
    }
    connection.close_channel(channel);
}

bool Topology::queue_is_missing(Connection& connection, const Listener& listener) const {
    return !there(connection, [&] {
        return connection.queue_exists(looking_channel, queue(listener.module));
    });
}

std::set<std::string> Topology::unmarked(Connection& connection, const std::string& publisher)
    const {
    std::set<std::string> all;
    for (const Listener& listener : listeners_) {
        if (!hears(listener, publisher)) continue;
        if (queue_is_missing(connection, listener)) declare(connection);
        const std::string mark = mark_of(listener.module, publisher);
        if (!there(connection, [&] { return connection.exchange_exists(looking_channel, mark); }))
            all.insert(listener.module);
    }
    return all;
}

void Topology::mark(Connection& connection, const std::string& module, const std::string& publisher)
    const {
    connection.open_channel(channel);
    connection.declare_exchange(channel, mark_of(module, publisher));
    connection.close_channel(channel);
}

}  // namespace souk::events::rabbitmq
