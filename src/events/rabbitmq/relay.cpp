#include "events/rabbitmq/relay.hpp"

#include "events/rabbitmq/cloud_event.hpp"
#include "souk/failpoint.hpp"
#include "souk/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr std::int64_t in_flight = 256;  // unconfirmed at a time
constexpr seconds prune_interval{60};
constexpr seconds look_interval{5};
constexpr milliseconds refusal_time{500};
constexpr std::chrono::hours outbox_age{1};
constexpr std::int64_t prune_page = 500;
constexpr int prune_pages = 200;

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

}  // namespace

/// What became of a batch.
struct Relay::Sent {
    /// Later events of an aggregate whose event was not taken are sent again after it.
    Sent(const std::vector<Stored>& batch, const std::vector<Verdict>& verdicts) {
        std::unordered_set<std::string_view> stuck;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const Event& event = batch[i].event;
            const bool taken = verdicts[i] == Verdict::confirmed;
            if (taken && !stuck.contains(event.aggregate_id)) {
                seqs.push_back(batch[i].seq);
                continue;
            }
            stuck.insert(event.aggregate_id);
            if (!taken && refused == nullptr) refused = &event;
        }
    }
    std::vector<std::int64_t> seqs;
    const Event* refused = nullptr;  // the first
};

Relay::Relay(
    std::shared_ptr<BusContext> bus,
    std::shared_ptr<Link> link,
    std::shared_ptr<const Topology> topology,
    std::string name,
    Database& database,
    std::string owner,
    milliseconds lease
)
    : bus_(std::move(bus))
    , link_(std::move(link))
    , topology_(std::move(topology))
    , name_(std::move(name))
    , database_(bus_, database)
    , store_(database_, bus_->clock)
    , lease_(database_, bus_->clock, "relay/" + name_, std::move(owner), lease)
    , wakeup_(bus_->executor, bus_->clock)
    , pace_(wakeup_, bus_->clock, bus_->options.gather, [this] { return ended(); })
    , published_(bus_->metrics.counter(
          "events_published_total", "Events that the broker confirmed", {{"publisher", name_}}
      ))
    , lag_(bus_->metrics.gauge(
          "bus_lag_events",
          "Events on this side of the broker that are not through; of a publisher at most a batch",
          {{"publisher", name_}}
      )) {}

Task<void> Relay::run(std::shared_ptr<Relay> self) {
    co_await self->loop();
    self->bus_->end_loop();
}

void Relay::stop() {
    stopping_ = true;
    notify();
}

void Relay::connected() {
    connected_ = true;
    look_due_ = true;
    notify();
}

Task<void> Relay::loop() {
    for (;;) {
        co_await pace_.next();
        if (bus_->stopping) co_return;  // abandoned
        Result<bool> worked = co_await step();
        if (bus_->stopping) co_return;
        if (worked) {
            outages_ = 0;
            set_fault("");
            if (*worked) continue;
            if (stopping_) break;
            co_await wakeup_.wait(bus_->options.poll);
            continue;
        }
        set_fault("events of " + name_ + " are not sent: " + worked.error().detail);
        logger().warn(
            "relay interrupted",
            {{"publisher", name_}, {"code", worked.error().code}, {"error", worked.error().detail}}
        );
        if (stopping_) break;
        co_await pause();
    }
    Result<void> given = co_await lease_.give_back();
    if (!given) logger().warn("lease not given back", {{"error", given.error().detail}});
}

std::string Relay::fault() const {
    std::lock_guard lock(fault_mutex_);
    return fault_;
}

void Relay::set_fault(std::string words) {
    std::lock_guard lock(fault_mutex_);
    fault_ = std::move(words);
}

/// Sits an outage out; a notification must not turn that into a busy loop.
Task<void> Relay::pause() {
    microseconds delay = outage_delay(*bus_, ++outages_);
    SteadyTime end = bus_->clock.steady() + delay;
    connected_ = false;
    while (!ended() && !connected_ && bus_->clock.steady() < end)
        co_await wakeup_.wait(end - bus_->clock.steady());
}

/// False when there is nothing to do for now.
Task<Result<bool>> Relay::step() {
    Result<void> pruned = co_await prune();
    if (!pruned) co_return pruned.error();
    if (bus_->clock.steady() < refused_until_) co_return false;
    Result<void> looked = co_await look_at_queues();
    if (!looked) co_return looked.error();
    if (greeted_ && !(lease_.held() && link_->up())) {
        Result<bool> nothing = co_await idle();
        if (!nothing) co_return nothing.error();
        if (*nothing) lag_.set(0);
        if (*nothing) co_return false;
    }
    if (!link_->up()) co_return unavailable("rabbitmq", link_->fault());
    Result<bool> held = co_await lease_.hold();
    if (!held) co_return held.error();
    if (!*held) {  // another process relays
        lag_.set(0);
        refused_until_ = bus_->clock.steady() + refusal_time;
        co_return false;
    }
    if (!greeted_) {
        Result<void> greeted = co_await greet_listeners();
        if (!greeted) co_return greeted.error();
        co_return true;
    }

    // Read under the lease: what its last holder has marked is not sent again.
    Result<std::vector<Stored>> batch = co_await store_.unsent(in_flight);
    if (!batch) co_return batch.error();
    lag_.set(static_cast<double>(batch->size()));
    if (batch->empty()) co_return false;
    std::vector<Outgoing> outgoing_batch;
    for (const Stored& stored : *batch)
        outgoing_batch.push_back(outgoing(stored.event));
    auto verdicts = co_await publish(std::move(outgoing_batch));
    if (!verdicts) co_return verdicts.error();
    if (failpoint::hit("rabbitmq.after_confirm_before_mark"))
        co_return unavailable("failpoint", "rabbitmq.after_confirm_before_mark");
    Sent sent(*batch, *verdicts);
    published_.add(static_cast<double>(sent.seqs.size()));
    const bool some = !sent.seqs.empty();
    std::vector<std::int64_t> seqs = std::move(sent.seqs);
    Result<bool> marked = co_await store_.mark_sent(std::move(seqs), lease_);
    if (!marked) co_return marked.error();
    if (some && !*marked) {
        lease_.forget();
        co_return unavailable("lease_lost", "another process relays now");
    }
    if (sent.refused != nullptr) {
        look_due_ = true;
        std::string why =
            fmt::format("RabbitMQ has no queue for {} ({})", sent.refused->type, sent.refused->id);
        co_return unavailable("unroutable", why);
    }
    co_return true;
}

Outgoing Relay::outgoing(const Event& event) const {
    Outgoing message;
    message.exchange = topology_->exchange();
    message.routing_key = event.type;
    message.message_id = event.id;
    message.content_type = cloud_event_type;
    message.body = to_cloud_event(event);
    message.mandatory = topology_->wanted(event.type);
    return message;
}

Task<Result<std::vector<Verdict>>> Relay::publish(std::vector<Outgoing> batch) {
    auto shared = std::make_shared<const std::vector<Outgoing>>(std::move(batch));
    std::function<Result<std::vector<Verdict>>(Connection&)> work =
        [shared, topology = topology_](Connection& connection) {
            auto verdicts = connection.publish(confirm_channel, *shared);
            // A queue or a binding was deleted: let the next try find it.
            const bool returned = std::count(verdicts.begin(), verdicts.end(), Verdict::returned);
            if (returned && !failpoint::hit("rabbitmq.before_mending"))
                topology->declare(connection);
            return Result<std::vector<Verdict>>(std::move(verdicts));
        };
    return link_->call<std::vector<Verdict>>(std::move(work));
}

/// A queue may have been lost with what was in it, and be there again or not.
Task<Result<void>> Relay::look_at_queues() {
    const SteadyTime now = bus_->clock.steady();
    const bool due = look_due_ || now - looked_at_ >= look_interval;
    if (!due || !greeted_ || !link_->up()) co_return Result<void>();
    auto lost = co_await unmarked();
    if (!lost) co_return lost.error();
    greeted_ = lost->empty();
    look_due_ = false;
    looked_at_ = now;
    co_return Result<void>();
}

Task<Result<std::set<std::string>>> Relay::unmarked() {
    using Modules = std::set<std::string>;
    std::function<Result<Modules>(Connection&)> work = [topology = topology_,
                                                        name = name_](Connection& connection) {
        return Result<Modules>(topology->unmarked(connection, name));
    };
    return link_->call<Modules>(std::move(work));
}

/// A listener that this database has not met, or whose queue was lost, is sent what the outbox
/// still keeps; the inbox knows what it has had already.
Task<Result<void>> Relay::greet_listeners() {
    auto known = co_await store_.listeners();
    if (!known) co_return known.error();
    auto lost = co_await unmarked();
    if (!lost) co_return lost.error();
    for (const Listener& listener : topology_->listeners()) {
        const bool met = known->contains(listener.module);
        if (met && !lost->contains(listener.module)) continue;
        Result<void> done = co_await greet(listener, met);
        if (!done) co_return done;
    }
    greeted_ = true;
    co_return Result<void>();
}

/// The mark first: it goes when the queue is lost meanwhile. The row last: it says that all is
/// sent.
Task<Result<void>> Relay::greet(const Listener& listener, bool known) {
    std::string module = listener.module;
    if (!Topology::hears(listener, name_)) co_return co_await store_.add_listener(module);
    if (known) {
        logger().warn(
            "a queue was missing or is new: it is sent all that the outbox keeps",
            {{"publisher", name_}, {"queue", topology_->queue(module)}}
        );
        Result<void> forgotten = co_await store_.forget_listener(module);
        if (!forgotten) co_return forgotten;
    }
    std::function<Result<void>(Connection&)> work =
        [topology = topology_, name = name_, module](Connection& connection) {
            topology->mark(connection, module, name);
            return Result<void>();
        };
    Result<void> done = co_await link_->call<void>(std::move(work));
    if (!done) co_return done;
    done = co_await bring_up(listener);
    if (!done) co_return done;
    co_return co_await store_.add_listener(std::move(module));
}

Task<Result<void>> Relay::bring_up(const Listener& listener) {
    std::int64_t after = 0;
    for (;;) {
        Result<std::vector<Stored>> kept = co_await store_.sent(after, in_flight);
        if (!kept) co_return kept.error();
        if (kept->empty()) co_return Result<void>();
        after = kept->back().seq;
        std::vector<Outgoing> batch;
        for (const Stored& stored : *kept) {
            const auto& types = listener.types;
            if (std::find(types.begin(), types.end(), stored.event.type) == types.end()) continue;
            batch.push_back(outgoing(stored.event));
            batch.back().exchange.clear();  // for this queue alone
            batch.back().routing_key = topology_->queue(listener.module);
        }
        auto verdicts = co_await publish(std::move(batch));
        if (!verdicts) co_return verdicts.error();
        for (Verdict verdict : *verdicts)
            if (verdict != Verdict::confirmed)
                co_return unavailable("unroutable", "no queue for " + listener.module);
    }
}

Task<Result<void>> Relay::prune() {
    SteadyTime now = bus_->clock.steady();
    if (now - pruned_at_ < prune_interval) co_return Result<void>();
    pruned_at_ = now;
    Timestamp before = bus_->clock.now() - outbox_age;
    for (int page = 0; page < prune_pages && !stopping_; ++page) {
        Result<std::int64_t> deleted = co_await store_.prune(before, prune_page);
        if (!deleted) co_return deleted.error();
        if (*deleted < prune_page) break;
    }
    co_return Result<void>();
}

Task<Result<bool>> Relay::idle() {
    Result<std::vector<Stored>> unsent = co_await store_.unsent(1);
    if (!unsent) co_return unsent.error();
    co_return unsent->empty();
}

}  // namespace souk::events::rabbitmq
