#include "events/rabbitmq/consumer.hpp"

#include "events/rabbitmq/cloud_event.hpp"
#include "events/rabbitmq/dead_letters.hpp"
#include "events/rabbitmq/relay.hpp"
#include "souk/failpoint.hpp"
#include "souk/id.hpp"
#include "souk/log.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

// Another process may have parked events and died.
constexpr seconds look_interval{1};

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

/// Two publishers may use one aggregate's id, each with versions of its own.
std::string lane_of(const Event& event) {
    return event.type.substr(0, event.type.find('.')) + "/" + event.aggregate_id;
}

}  // namespace

Arrived::Arrived(Incoming incoming) : tag(incoming.tag), message(std::move(incoming)) {
    Result<Event> read = from_cloud_event(message.body);
    if (read) {
        event = std::move(*read);
        message.body.clear();
    } else {
        fault = read.error().code + ": " + read.error().detail;
    }
}

Consumer::Consumer(
    std::shared_ptr<BusContext> bus,
    std::shared_ptr<Links> links,
    std::shared_ptr<const Topology> topology,
    std::shared_ptr<Inbox> inbox,
    Database& database,
    std::uint16_t channel,
    Lease lease
)
    : bus_(std::move(bus))
    , links_(std::move(links))
    , topology_(std::move(topology))
    , inbox_(std::move(inbox))
    , handling_(bus_, inbox_)
    , store_(inbox_->consumer(), database, bus_->clock)
    , channel_(channel)
    , lease_(std::move(lease))
    , wakeup_(bus_->executor, bus_->clock)
    , pace_(wakeup_, bus_->clock, bus_->options.gather, [this] { return ended(); })
    , unacknowledged_(bus_->metrics.gauge(
          "rabbitmq_unacknowledged_events",
          "Events in hand, not acknowledged yet",
          {{"consumer", inbox_->consumer()}}
      ))
    , lag_(bus_->metrics.gauge(
          "bus_lag_events",
          "Events on this side of the broker that are not through; of a publisher at most a batch",
          {{"consumer", inbox_->consumer()}}
      ))
    , ready_(bus_->metrics.gauge(
          "rabbitmq_ready_events",
          "Events in the queue when it was last looked at",
          {{"consumer", inbox_->consumer()}}
      )) {}

Task<void> Consumer::run(std::shared_ptr<Consumer> self) {
    co_await self->loop();
    self->bus_->end_loop();
}

void Consumer::stop() {
    stopping_ = true;
    notify();
}

void Consumer::connected(std::uint64_t generation) {
    hand_.clear();
    generation_ = generation;
    acquainted_ = false;
    outages_ = 0;
}

void Consumer::disconnected() {
    hand_.clear();
    generation_ = 0;
    count_hand();
}

void Consumer::received(std::vector<Arrived> arrived) {
    std::move(arrived.begin(), arrived.end(), std::back_inserter(hand_));
    count_hand();
    if (may_take_new()) notify();
}

void Consumer::count_hand() {
    const auto in_hand = static_cast<double>(hand_.size());
    unacknowledged_.set(in_hand);
    lag_.set(in_hand + static_cast<double>(waiting_.rows));
}

Task<void> Consumer::loop() {
    while (!ended()) {
        co_await pace_.next();
        if (ended()) break;
        Result<bool> worked = co_await step();
        if (bus_->stopping) co_return;  // abandoned
        if (!worked) {
            logger().warn(
                "delivery interrupted",
                {{"consumer", module()},
                 {"code", worked.error().code},
                 {"error", worked.error().detail}}
            );
            co_await pause();
            continue;
        }
        outages_ = 0;
        if (*worked || ended()) continue;
        co_await wakeup_.wait(std::min<microseconds>(until_due(), look_interval));
        if (bus_->clock.steady() - loaded_at_ >= look_interval) rows_changed_ = true;
    }
    if (bus_->stopping) co_return;
    Result<void> given = co_await lease_.give_back();
    if (!given) logger().warn("lease not given back", {{"error", given.error().detail}});
}

/// Sits an outage out; a notification must not turn that into a busy loop.
Task<void> Consumer::pause() {
    microseconds delay = outage_delay(*bus_, ++outages_);
    SteadyTime end = bus_->clock.steady() + delay;
    while (!ended() && bus_->clock.steady() < end)
        co_await wakeup_.wait(end - bus_->clock.steady());
}

/// False when there is nothing to do for now.
Task<Result<bool>> Consumer::step() {
    // Who becomes the queue's consumer must know what the last one parked: that is written before
    // the first event arrives here, so only what is read after that counts.
    const bool stranger = !acquainted_ && !hand_.empty();
    if (rows_changed_ || stranger) {
        const std::uint64_t generation = generation_;
        Result<void> loaded = co_await load_waiting();
        if (!loaded) co_return loaded.error();
        if (stranger && generation == generation_) acquainted_ = true;
        if (!acquainted_ && !hand_.empty()) co_return true;  // arrived meanwhile: look again
    }
    bool due = waiting_.due <= bus_->clock.now();
    if (due && !(retried_last_ && may_take_new())) {
        retried_last_ = true;
        co_return co_await retry_due();
    }
    retried_last_ = false;
    if (!may_take_new()) co_return false;
    Result<void> taken = co_await take_new();
    if (!taken) co_return taken.error();
    co_return true;
}

bool Consumer::may_take_new() const {
    return !hand_.empty() && waiting_.rows < waiting_limit;
}

microseconds Consumer::until_due() const {
    Timestamp now = bus_->clock.now();
    return waiting_.due > now + look_interval ? look_interval : waiting_.due - now;
}

Task<Result<void>> Consumer::load_waiting() {
    rows_changed_ = false;
    Result<Waiting> waiting = co_await store_.waiting();
    if (!waiting) {
        rows_changed_ = true;
        co_return waiting.error();
    }
    waiting_ = std::move(*waiting);
    loaded_at_ = bus_->clock.steady();
    count_hand();
    co_return Result<void>();
}

/// From the front of the hand, up to what is malformed.
std::vector<Stored> Consumer::next_batch() const {
    std::vector<Stored> batch;
    std::int64_t bytes = 0;
    for (const Arrived& arrived : hand_) {
        if (!arrived.fault.empty() || batch.size() >= bus_->options.batch) break;
        if (bytes >= batch_bytes) break;
        bytes += static_cast<std::int64_t>(arrived.event.data.size());
        batch.emplace_back();
        batch.back().seq = static_cast<std::int64_t>(arrived.tag);
        batch.back().event = arrived.event;
        batch.back().lane = lane_of(arrived.event);
    }
    return batch;
}

Task<Result<void>> Consumer::take_new() {
    if (!hand_.front().fault.empty()) co_return co_await bury_malformed();
    const std::uint64_t generation = generation_;
    Pass pass(next_batch(), waiting_, true);
    for (std::size_t i = 0; i < pass.entries.size(); ++i)
        if (!inbox_->subscribes(pass.entries[i].event.type)) pass.fates[i] = Pass::Fate::done;
    Result<void> through = co_await handling_.work_through(pass);
    Result<void> settled = co_await settle_new(pass, generation);
    if (!through) co_return through;
    co_return settled;
}

/// Parks what failed and what waits behind it; then the broker may forget all of it.
Task<Result<void>> Consumer::settle_new(Pass& pass, std::uint64_t generation) {
    std::vector<Pending> pending = pass.pending();
    auto by_arrival = [](const Pending& a, const Pending& b) { return a.seq < b.seq; };
    std::sort(pending.begin(), pending.end(), by_arrival);
    std::vector<Parked> parked;
    std::size_t at = 0;
    for (const Pending& row : pending) {
        while (pass.entries[at].seq != row.seq)
            ++at;
        parked.emplace_back(pass.entries[at].event, row);
    }
    if (!parked.empty()) {
        rows_changed_ = true;
        Result<void> written = co_await store_.park(std::move(parked));
        if (!written) co_return written;
        handling_.report(pending);
    }
    if (failpoint::hit("rabbitmq.after_commit_before_ack"))
        co_return unavailable("failpoint", "rabbitmq.after_commit_before_ack");
    acknowledge(pass.decided, generation);
    co_return Result<void>();
}

/// The first `count` in hand, unless they belong to a connection that is gone.
void Consumer::acknowledge(std::size_t count, std::uint64_t generation) {
    if (count == 0 || generation != generation_) return;
    const std::uint64_t tag = hand_[count - 1].tag;
    hand_.erase(hand_.begin(), hand_.begin() + static_cast<std::ptrdiff_t>(count));
    count_hand();
    Link::Job job;
    job.run = [links = links_, channel = channel_, tag, generation](Connection& connection) {
        if (links->generation == generation) connection.acknowledge(channel, tag, true);
    };
    links_->consuming->submit(std::move(job));
}

/// False when another process does that.
Task<Result<bool>> Consumer::retry_due() {
    Result<bool> held = co_await lease_.hold();
    if (!held) co_return held.error();
    if (!*held) {
        waiting_.due = bus_->clock.now() + look_interval;
        co_return false;
    }
    const std::int64_t fence = lease_.fence();
    auto stored = co_await store_.due(bus_->clock.now(), retries_a_pass);
    if (!stored) co_return stored.error();
    rows_changed_ = true;
    std::vector<Stored> again;
    std::vector<Stored> exhausted;
    for (Stored& entry : *stored)
        (handling_.exhausted(entry) ? exhausted : again).push_back(std::move(entry));
    if (!exhausted.empty()) {
        Result<bool> still = co_await lease_.hold();
        if (!still) co_return still.error();
        if (!*still || lease_.fence() != fence) co_return true;  // somebody may have done it
        Result<void> buried = co_await bury(std::move(exhausted));
        if (!buried) co_return buried.error();
    }
    if (again.empty()) co_return true;
    Pass pass(std::move(again), waiting_, false);
    Result<void> through = co_await handling_.work_through(pass);
    std::vector<Pending> failed = pass.pending();
    Result<void> settled = co_await settle(pass.done(), failed);
    if (settled) handling_.report(failed);
    if (!through) co_return through.error();
    if (!settled) co_return settled.error();
    co_return true;
}

/// The row goes when the broker has confirmed the dead letter.
Task<Result<void>> Consumer::bury(std::vector<Stored> exhausted) {
    std::vector<Outgoing> letters;
    std::vector<std::int64_t> positions;
    for (const Stored& stored : exhausted) {
        std::int64_t attempts = stored.attempts + stored.gaps;
        letters.push_back(
            dead_letter(*topology_, module(), stored.event, attempts, stored.last_error)
        );
        positions.push_back(stored.seq);
    }
    Result<void> published = co_await publish_dead(std::move(letters));
    if (!published) co_return published;
    if (failpoint::hit("rabbitmq.after_bury_before_delete"))
        co_return unavailable("failpoint", "rabbitmq.after_bury_before_delete");
    std::vector<Pending> none;
    co_return co_await settle(std::move(positions), std::move(none));
}

Task<Result<void>> Consumer::settle(std::vector<std::int64_t> done, std::vector<Pending> failed) {
    Result<bool> settled = co_await store_.settle(std::move(done), std::move(failed), lease_);
    if (!settled) co_return settled.error();
    if (*settled) co_return Result<void>();
    lease_.forget();
    co_return unavailable("lease_lost", "another process tries them again now");
}

Task<Result<void>> Consumer::bury_malformed() {
    const std::uint64_t generation = generation_;
    const Arrived& first = hand_.front();
    logger().error("a message is no event", {{"consumer", module()}, {"error", first.fault}});
    const std::string id = make_id("bad", bus_->clock.now());
    std::vector<Outgoing> letters;
    letters.push_back(malformed_letter(*topology_, module(), first.message, id, first.fault));
    Result<void> published = co_await publish_dead(std::move(letters));
    if (!published) co_return published;
    handling_.count_dead();
    acknowledge(1, generation);
    co_return Result<void>();
}

Task<Result<void>> Consumer::publish_dead(std::vector<Outgoing> letters) {
    auto shared = std::make_shared<const std::vector<Outgoing>>(std::move(letters));
    std::function<Result<void>(Connection&)> work = [shared](Connection& connection) {
        for (Verdict verdict : connection.publish(confirm_channel, *shared))
            if (verdict != Verdict::confirmed)
                return Result<void>(unavailable("rabbitmq", "the dead letters' queue is gone"));
        return Result<void>();
    };
    return links_->publishing->call<void>(std::move(work));
}

Task<Result<bool>> Consumer::idle() {
    Result<Waiting> waiting = co_await store_.waiting();
    if (!waiting) co_return waiting.error();
    co_return waiting->rows == 0;
}

}  // namespace souk::events::rabbitmq
