// The bus as the host sees it: who publishes, who listens, start and drain. Two implementations
// promise the same (tests/contract): the embedded one, which keeps a cursor, attempts and dead
// letters per consumer in the publisher's database, and RabbitMQ.
#pragma once

#include "souk/events.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace souk::events {

struct DeadLetter {
    DeadLetter() = default;
    std::string consumer;
    Event event;
    std::int64_t attempts = 0;
    std::string last_error;
};

class EventBus : public Bus {
public:
    /// Call all before start(). `consumer` is the listening module's name.
    virtual void add_publisher(std::string module, Database& database) = 0;
    virtual void add_consumer(
        std::string module, Database& database, std::vector<Subscription> subscriptions
    ) = 0;
    virtual Task<Result<void>> start() = 0;
    /// Finishes what is in hand, then stops; returns at `deadline` at the latest.
    virtual Task<void> stop(Deadline deadline) = 0;
    /// True when every event that was appended before the call has been handled or is dead.
    virtual Task<Result<bool>> idle() = 0;
    virtual Task<Result<std::vector<DeadLetter>>> dead_letters() = 0;
    /// Puts a dead letter back for another 5 tries. Errors: `not_found` "no_dead_letter".
    virtual Task<Result<void>> replay_dead(std::string consumer, std::string event_id) = 0;
    /// Forgets a dead letter for good. Errors: `not_found` "no_dead_letter".
    virtual Task<Result<void>> drop_dead(std::string consumer, std::string event_id) = 0;
    /// Why nothing is delivered at the moment, in words for an operator; empty when it is. Any
    /// thread.
    virtual std::string fault() const { return {}; }
};

/// How a consumer is served, whatever brings the events.
struct BusRules {
    std::size_t batch = 256;       // events handled in one commit of the consumer
    int max_attempts = 5;          // then dead letter
    milliseconds poll{1000};       // besides wake()
    milliseconds gather{0};        // the `Pace` of each loop
    milliseconds retry_base{100};  // doubled with each failure, full jitter
};
using EmbeddedBusOptions = BusRules;

std::unique_ptr<EventBus> make_embedded_bus(
    Executor executor, Clock& clock, Metrics& metrics, EmbeddedBusOptions options = {}
);

}  // namespace souk::events
