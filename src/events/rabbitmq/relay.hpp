// One publisher's outbox on its way to the broker: sends what has not been sent, in order, and
// marks it when the broker has confirmed that it lies in a queue. One process at a time, by a
// lease.
#pragma once

#include "events/rabbitmq/link.hpp"
#include "events/rabbitmq/relay_store.hpp"
#include "events/rabbitmq/stoppable_database.hpp"
#include "events/rabbitmq/topology.hpp"
#include "souk/pace.hpp"

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

/// The channel of the publishing link that has confirms.
inline constexpr std::uint16_t confirm_channel = 2;

class Relay {
public:
    Relay(
        std::shared_ptr<BusContext> bus,
        std::shared_ptr<Link> link,
        std::shared_ptr<const Topology> topology,
        std::string name,
        Database& database,
        std::string owner,
        milliseconds lease
    );

    /// Until it is told to stop. Keeps `self` alive.
    static Task<void> run(std::shared_ptr<Relay> self);
    /// Sends what there is and gives the lease back; then run() ends.
    void stop();
    void notify() { wakeup_.notify(); }
    /// The broker is back: try at once.
    void connected();

    const std::string& name() const { return name_; }
    /// Whether all events have been sent. Errors: the database's.
    Task<Result<bool>> idle();
    /// What keeps it from sending, in words; empty when nothing does. Any thread.
    std::string fault() const;

private:
    struct Sent;
    Task<void> loop();
    Task<void> pause();
    Task<Result<bool>> step();
    Task<Result<void>> look_at_queues();
    Task<Result<std::set<std::string>>> unmarked();
    Task<Result<void>> greet_listeners();
    Task<Result<void>> greet(const Listener& listener, bool known);
    Task<Result<void>> bring_up(const Listener& listener);
    Task<Result<std::vector<Verdict>>> publish(std::vector<Outgoing> batch);
    Task<Result<void>> prune();
    Outgoing outgoing(const Event& event) const;
    void set_fault(std::string words);
    bool ended() const { return stopping_ || bus_->stopping; }

    std::shared_ptr<BusContext> bus_;
    std::shared_ptr<Link> link_;
    std::shared_ptr<const Topology> topology_;
    std::string name_;
    StoppableDatabase database_;
    RelayStore store_;
    Lease lease_;
    Wakeup wakeup_;
    Pace pace_;
    Counter& published_;
    Gauge& lag_;
    bool stopping_ = false;
    bool connected_ = false;
    bool greeted_ = false;   // all listeners are known to this database
    bool look_due_ = false;  // at the queues
    SteadyTime looked_at_{};
    SteadyTime refused_until_{};  // another process relays
    int outages_ = 0;             // in a row
    SteadyTime pruned_at_{};
    mutable std::mutex fault_mutex_;
    std::string fault_;
};

}  // namespace souk::events::rabbitmq
