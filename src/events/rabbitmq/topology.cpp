#include "events/rabbitmq/topology.hpp"

#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr std::uint16_t channel = 1;
// A far backstop: it counts lost consumers, too, and drops into the dead letters at most once.
constexpr std::int64_t delivery_limit = 100;
// Listing dead letters takes them and gives them back.
constexpr std::int64_t dead_delivery_limit = 1'000'000;

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

void declare_queue(
    Connection& connection, const std::string& name, const std::vector<QueueArgument>& arguments
) {
    try {
        connection.declare_queue(channel, name, arguments);
    } catch (const Failure& failure) {
        std::string detail = failure.error.detail;
        if (detail.find("PRECONDITION_FAILED") != std::string::npos)
            detail += ". The queue " + name +
                      " was declared otherwise than this version wants it: let it run empty, delete"
                      " it (rabbitmqctl delete_queue " +
                      name + "), and start again; or set another rabbitmq prefix";
        throw Failure(unavailable("rabbitmq", detail));
    }
}

}  // namespace

Topology::Topology(std::string prefix, std::vector<Listener> listeners)
    : prefix_(std::move(prefix)), listeners_(std::move(listeners)) {
    for (const Listener& listener : listeners_)
        wanted_.insert(listener.types.begin(), listener.types.end());
}

void Topology::declare(Connection& connection) const {
    connection.open_channel(channel);
    connection.declare_exchange(channel, exchange());
    for (const Listener& listener : listeners_) {
        const std::string dead = dead_queue(listener.module);
        declare_queue(connection, dead, dead_queue_arguments());
        declare_queue(connection, queue(listener.module), queue_arguments(dead));
        for (const std::string& type : listener.types)
            connection.bind(channel, queue(listener.module), exchange(), type);
    }
    connection.close_channel(channel);
}

}  // namespace souk::events::rabbitmq
