// The bus over RabbitMQ, for many processes over PostgreSQL. A relay a publisher (one process at a
// time, by a fenced lease in the publisher's database) sends what the outbox holds and marks it
// sent when the broker has confirmed that it lies in a queue. A queue a module, with one active
// consumer, keeps the order of an aggregate; a batch is acknowledged after its commit. What fails
// waits in the consumer's database, its aggregate's later events behind it, and goes to the dead
// letters after its last try. rabbitmq-c blocks, so it has threads of its own.
#pragma once

#include "events/event_bus.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::events {

/// Who listens to what among all modules that there are, here or elsewhere: the queues must exist
/// before the first event is sent.
struct Listener {
    Listener(std::string module, std::vector<std::string> types)
        : module(std::move(module)), types(std::move(types)) {}
    std::string module;
    std::vector<std::string> types;
};

struct RabbitMqOptions {
    std::string url;                           // amqp://user:password@host[:port]/vhost, amqps://
    std::filesystem::path password_file = {};  // read at each connect; empty: as in the url
    std::filesystem::path ca_file = {};        // empty: the system's
    std::string prefix = "souk";               // of the names of exchanges and queues
    std::vector<Listener> listeners;
    std::size_t batch = 256;       // events handled in one commit of the consumer; the prefetch
    int max_attempts = 5;          // then dead letter
    milliseconds poll{100};        // of the outbox, besides wake()
    milliseconds gather{0};        // each loop's `Pace`
    milliseconds retry_base{100};  // doubled with each failure, full jitter
    milliseconds lease{5000};      // of a relay; another process takes over after it
};

/// EventBus::start() errors: `unavailable` "rabbitmq" with the broker's words and what to do: no
/// broker, wrong password, no such vhost, a queue declared otherwise than wanted (drift).
std::unique_ptr<EventBus> make_rabbitmq_bus(
    Executor executor, Clock& clock, Metrics& metrics, RabbitMqOptions options
);

}  // namespace souk::events
