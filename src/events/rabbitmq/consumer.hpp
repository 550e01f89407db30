// A module's queue on its way into the module: takes what has arrived in batches, parks what fails,
// tries it again when it is due, and acknowledges after the commit.
#pragma once

#include "events/lease.hpp"
#include "events/rabbitmq/link.hpp"
#include "events/rabbitmq/parked_store.hpp"
#include "events/rabbitmq/topology.hpp"
#include "souk/pace.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

/// A delivery, read.
struct Arrived {
    explicit Arrived(Incoming message);
    std::uint64_t tag;
    Event event;
    std::string fault;  // not empty: it is no event, but `message`
    Incoming message;
};

/// The two connections of a process.
struct Links {
    std::shared_ptr<Link> publishing;
    std::shared_ptr<Link> consuming;
    // Which connection the consuming link is at. Touched on its thread only.
    std::uint64_t generation = 0;
};

class Consumer {
public:
    Consumer(
        std::shared_ptr<BusContext> bus,
        std::shared_ptr<Links> links,
        std::shared_ptr<const Topology> topology,
        std::shared_ptr<Inbox> inbox,
        Database& database,
        std::uint16_t channel,
        Lease lease
    );

    /// Until it is told to stop. Keeps `self` alive.
    static Task<void> run(std::shared_ptr<Consumer> self);
    /// Finishes the batch in hand; then run() ends.
    void stop();
    void notify() { wakeup_.notify(); }

    void connected(std::uint64_t generation);
    /// What it had in hand will come again.
    void disconnected();
    void received(std::vector<Arrived> arrived);

    const std::string& module() const { return inbox_->consumer(); }
    std::uint16_t channel() const { return channel_; }
    /// So many of its events lay in the queue.
    void saw_ready(std::int64_t count) { ready_.set(static_cast<double>(count)); }
    bool in_hand() const { return !hand_.empty(); }
    /// Whether nothing waits to be tried again. Errors: the database's.
    Task<Result<bool>> idle();

private:
    Task<void> loop();
    Task<void> pause();
    Task<Result<bool>> step();
    Task<Result<void>> load_waiting();
    Task<Result<void>> take_new();
    Task<Result<void>> settle_new(Pass& pass, std::uint64_t generation);
    Task<Result<bool>> retry_due();
    Task<Result<void>> settle(std::vector<std::int64_t> done, std::vector<Pending> failed);
    Task<Result<void>> bury(std::vector<Stored> exhausted);
    Task<Result<void>> bury_malformed();
    Task<Result<void>> publish_dead(std::vector<Outgoing> letters);
    std::vector<Stored> next_batch() const;
    void acknowledge(std::size_t count, std::uint64_t generation);
    void count_hand();
    bool may_take_new() const;
    bool ended() const { return stopping_ || bus_->stopping; }
    microseconds until_due() const;

    std::shared_ptr<BusContext> bus_;
    std::shared_ptr<Links> links_;
    std::shared_ptr<const Topology> topology_;
    std::shared_ptr<Inbox> inbox_;
    Handling handling_;
    ParkedStore store_;
    const std::uint16_t channel_;
    Lease lease_;
    Wakeup wakeup_;
    Pace pace_;
    Gauge& unacknowledged_;
    Gauge& lag_;
    Gauge& ready_;

    std::deque<Arrived> hand_;  // taken from the broker, not acknowledged
    std::uint64_t generation_ = 0;
    bool acquainted_ = false;  // has seen the store since it became the queue's consumer
    Waiting waiting_;
    bool rows_changed_ = true;  // `waiting_` is not what the database holds
    SteadyTime loaded_at_{};
    bool retried_last_ = false;  // so that new events have their turn, too
    bool stopping_ = false;
    int outages_ = 0;  // in a row
};

}  // namespace souk::events::rabbitmq
