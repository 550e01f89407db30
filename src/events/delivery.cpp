#include "events/delivery.hpp"

#include "souk/log.hpp"

#include <algorithm>
#include <utility>

namespace souk::events {
namespace {

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

}  // namespace

Delivery::Delivery(
    std::shared_ptr<BusContext> bus,
    std::string publisher,
    std::shared_ptr<BusStore> store,
    std::shared_ptr<Inbox> inbox
)
    : bus_(std::move(bus))
    , publisher_(std::move(publisher))
    , store_(std::move(store))
    , inbox_(std::move(inbox))
    , handling_(bus_, inbox_)
    , wakeup_(bus_->executor, bus_->clock)
    , lag_(bus_->metrics.gauge(
          "bus_lag_events",
          "Events in the outbox that the consumer has not reached",
          {{"publisher", publisher_}, {"consumer", inbox_->consumer()}}
      )) {}

Task<Result<void>> Delivery::open() {
    Result<std::int64_t> cursor = co_await store_->open_cursor(consumer());
    if (!cursor) co_return cursor.error();
    position_ = saved_ = *cursor;
    co_return co_await load_waiting();
}

Task<void> Delivery::run(std::shared_ptr<Delivery> self) {
    co_await self->loop();
    self->bus_->end_loop();
}

Task<void> Delivery::loop() {
    while (!bus_->stopping) {
        Result<bool> worked = co_await step();
        if (!worked) {
            logger().warn(
                "delivery interrupted",
                {{"publisher", publisher_},
                 {"consumer", consumer()},
                 {"code", worked.error().code},
                 {"error", worked.error().detail}}
            );
            co_await pause();
            continue;
        }
        outages_ = 0;
        if (!*worked && !bus_->stopping) co_await wakeup_.wait(until_due());
    }
}

/// Sits an outage out; a notification must not turn that into a busy loop.
Task<void> Delivery::pause() {
    microseconds delay = outage_delay(*bus_, ++outages_);
    SteadyTime end = bus_->clock.steady() + delay;
    while (!bus_->stopping && bus_->clock.steady() < end)
        co_await wakeup_.wait(end - bus_->clock.steady());
}

/// False when there is nothing to do for now.
Task<Result<bool>> Delivery::step() {
    if (rows_changed_) {
        Result<void> loaded = co_await load_waiting();
        if (!loaded) co_return loaded.error();
    }
    bool worked = false;
    bool due = waiting_.due <= bus_->clock.now();
    if (due && !(retried_last_ && may_take_new())) {
        worked = retried_last_ = true;
        Result<void> retried = co_await retry_due();
        if (!retried) co_return retried.error();
    } else if (may_take_new()) {
        worked = true;
        retried_last_ = false;
        Result<void> taken = co_await take_new();
        if (!taken) co_return taken.error();
    }
    lag_.set(static_cast<double>(std::max<std::int64_t>(head_ - position_, 0)));
    co_return worked;
}

bool Delivery::may_take_new() const {
    return head_ > position_ && waiting_.rows < waiting_limit;
}

microseconds Delivery::until_due() const {
    constexpr microseconds longest = std::chrono::hours(1);
    Timestamp now = bus_->clock.now();
    if (waiting_.due > now + longest) return longest;
    return waiting_.due - now;
}

Task<Result<void>> Delivery::load_waiting() {
    rows_changed_ = false;
    Result<Waiting> waiting = co_await store_->waiting(consumer());
    if (!waiting) {
        rows_changed_ = true;
        co_return waiting.error();
    }
    waiting_ = std::move(*waiting);
    co_return Result<void>();
}

void Delivery::rows_changed() {
    rows_changed_ = true;
    notify();
}

void Delivery::announce(std::int64_t seq) {
    if (seq <= head_) return;
    head_ = seq;
    lag_.set(static_cast<double>(std::max<std::int64_t>(head_ - position_, 0)));
    if (may_take_new()) notify();
}

std::optional<Cursor> Delivery::unsaved() const {
    if (position_ == saved_) return std::nullopt;
    return Cursor(consumer(), position_);
}

Task<Result<void>> Delivery::take_new() {
    auto batch = static_cast<std::int64_t>(bus_->options.batch);
    auto stored = co_await store_->read(position_, batch, batch_bytes);
    if (!stored) co_return stored.error();
    if (stored->empty()) {
        head_ = position_;  // deleted since
        co_return Result<void>();
    }
    Pass pass(std::move(*stored), waiting_, true);
    for (std::size_t i = 0; i < pass.entries.size(); ++i)
        if (!inbox_->subscribes(pass.entries[i].event.type)) pass.fates[i] = Pass::Fate::done;
    Result<void> through = co_await handling_.work_through(pass);
    Result<void> settled = co_await settle(pass);
    if (!through) co_return through;
    co_return settled;
}

Task<Result<void>> Delivery::retry_due() {
    auto stored = co_await store_->due(consumer(), bus_->clock.now(), retries_a_pass);
    if (!stored) co_return stored.error();
    Pass pass(std::move(*stored), waiting_, false);
    rows_changed_ = true;
    Result<void> through = co_await handling_.work_through(pass);
    Result<void> settled = co_await settle(pass);
    if (!through) co_return through;
    co_return settled;
}

/// What became of the events that are decided.
Settlement Delivery::settlement_of(const Pass& pass) const {
    Settlement settlement;
    settlement.cursor = position_;
    if (pass.fresh && pass.decided > 0) settlement.cursor = pass.entries[pass.decided - 1].seq;
    if (!pass.fresh) settlement.delivered = pass.done();
    settlement.pending = pass.pending();
    return settlement;
}

/// Writes it down. When all went well there is nothing to write but the cursor, and that can wait:
/// the inbox knows what has been handled.
Task<Result<void>> Delivery::settle(Pass& pass) {
    Settlement settlement = settlement_of(pass);
    if (!settlement.delivered.empty() || !settlement.pending.empty()) {
        rows_changed_ = true;
        Result<void> written = co_await store_->settle(consumer(), settlement);
        if (!written) co_return written;
        saved(settlement.cursor);
    }
    position_ = settlement.cursor;
    handling_.report(settlement.pending);
    co_return Result<void>();
}

}  // namespace souk::events
