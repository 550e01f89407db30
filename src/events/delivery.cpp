#include "events/delivery.hpp"

#include "events/backoff.hpp"
#include "souk/failpoint.hpp"
#include "souk/log.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace souk::events {
namespace {

constexpr std::int64_t batch_bytes = 4 << 20;
constexpr std::int64_t retries_a_pass = 64;
// With so many events waiting behind failures the consumer is broken, not an event: read no more
// before some are through or dead.
constexpr std::int64_t waiting_limit = 10'000;
// A gap closes by itself when the earlier event arrives, so it gets about 25 minutes (on average 5
// s a try): longer than a restart or a burst, shorter than anyone's patience with a lost
// predecessor.
constexpr std::int64_t gap_limit = 300;
constexpr milliseconds patient_cap{10'000};
constexpr milliseconds outage_cap{10'000};
constexpr std::size_t error_length = 500;

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

bool is_gap(const Error& error) {
    static const std::string code = gap().code;
    return error.code == code;
}

}  // namespace

/// Some events on their way through the inbox.
struct Delivery::Pass {
    enum class Fate : std::uint8_t { open, done, failed };

    Pass(std::vector<Stored> stored, const Waiting& waiting, bool fresh)
        : entries(std::move(stored))
        , fates(entries.size(), Fate::open)
        , waiting(waiting)
        , fresh(fresh) {}
    void fail(std::size_t i, Pending row) {
        fates[i] = Fate::failed;
        if (!row.dead) {
            auto added = failed_at.try_emplace(row.aggregate_id, i);
            added.first->second = std::min(added.first->second, i);
        }
        rows.push_back(std::move(row));
    }
    /// Whether an earlier event of its aggregate is not through.
    bool must_wait(std::size_t i) const {
        const std::string& aggregate = entries[i].event.aggregate_id;
        auto failed = failed_at.find(aggregate);
        if (failed != failed_at.end() && failed->second < i) return true;
        return fresh && waiting.aggregates.contains(aggregate);
    }

    std::vector<Stored> entries;
    std::vector<Fate> fates;
    const Waiting& waiting;  // what had delivery rows when this began
    std::unordered_map<std::string, std::size_t> failed_at;  // aggregate to its first failure
    std::vector<Pending> rows;                               // of those that failed
    std::size_t decided = 0;  // entries before this have met their fate
    bool fresh;               // read behind the cursor; otherwise from delivery rows
};

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
    , wakeup_(bus_->executor, bus_->clock)
    , delivered_(bus_->metrics.counter(
          "events_delivered_total", "Events that took effect", {{"consumer", inbox_->consumer()}}
      ))
    , failures_(bus_->metrics.counter(
          "bus_failures_total", "Events that a handler refused", {{"consumer", inbox_->consumer()}}
      ))
    , gaps_(bus_->metrics.counter(
          "bus_gaps_total",
          "Deliveries put off: too early, or out of time",
          {{"consumer", inbox_->consumer()}}
      ))
    , dead_(bus_->metrics.counter(
          "bus_dead_letters_total", "Events given up", {{"consumer", inbox_->consumer()}}
      ))
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
    --self->bus_->running;
    self->bus_->finished.notify();
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
    microseconds delay = full_jitter(bus_->options.retry_base, ++outages_, outage_cap);
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
    Result<void> through = co_await work_through(pass);
    Result<void> settled = co_await settle(pass);
    if (!through) co_return through;
    co_return settled;
}

Task<Result<void>> Delivery::retry_due() {
    auto stored = co_await store_->due(consumer(), bus_->clock.now(), retries_a_pass);
    if (!stored) co_return stored.error();
    Pass pass(std::move(*stored), waiting_, false);
    rows_changed_ = true;
    Result<void> through = co_await work_through(pass);
    Result<void> settled = co_await settle(pass);
    if (!through) co_return through;
    co_return settled;
}

/// Tries [from, to) in one transaction. When it rolls back because of one event, that event has had
/// its try; those before it are done again as one transaction, those after it as the next. An error
/// means that the consumer's database is away; what was decided before stands.
Task<Result<void>> Delivery::work_through(Pass& pass) {
    const std::size_t end = pass.entries.size();
    std::size_t to = end;
    while (pass.decided < end) {
        if (!pass.fresh) to = pass.decided + 1;  // a retry has a transaction of its own
        std::vector<std::size_t> chosen;
        std::vector<Event> events;
        for (std::size_t i = pass.decided; i < to; ++i) {
            if (pass.fates[i] != Pass::Fate::open || pass.must_wait(i)) continue;
            chosen.push_back(i);
            events.push_back(pass.entries[i].event);
        }
        Consumed result;
        if (!chosen.empty()) {
            if (failpoint::hit("bus.before_consume"))
                co_return unavailable("failpoint", "bus.before_consume");
            result = co_await inbox_->consume(std::move(events));
            if (failpoint::hit("bus.after_consume_before_cursor"))
                co_return unavailable("failpoint", "bus.after_consume_before_cursor");
        }
        if (result.blame == Blame::database) co_return result.error;
        if (result.blame == Blame::none) {
            delivered_.add(static_cast<double>(result.applied));
            if (result.applied > 0) bus_->took_effect(consumer());
            for (std::size_t i : chosen)
                pass.fates[i] = Pass::Fate::done;
            pass.decided = to;
            to = end;
            continue;
        }
        if (result.blame == Blame::batch && chosen.size() > 1) {
            to = chosen[chosen.size() / 2];
            continue;
        }
        std::size_t culprit = result.blame == Blame::event ? chosen[result.at] : chosen.front();
        bool patient = is_gap(result.error) || result.error.kind == ErrorKind::timeout;
        pass.fail(culprit, judge(pass.entries[culprit], result.error, patient));
        if (culprit == pass.decided) ++pass.decided;
        to = culprit > pass.decided ? culprit : end;
    }
    co_return Result<void>();
}

Pending Delivery::judge(const Stored& stored, const Error& error, bool patient) const {
    const EmbeddedBusOptions& options = bus_->options;
    Pending row;
    row.seq = stored.seq;
    row.event_id = stored.event.id;
    row.aggregate_id = stored.event.aggregate_id;
    row.early = patient;
    row.attempts = stored.attempts + (patient ? 0 : 1);
    row.gaps = stored.gaps + (patient ? 1 : 0);
    row.dead = row.attempts >= options.max_attempts || row.gaps >= gap_limit;
    row.error = (error.code + ": " + error.detail).substr(0, error_length);
    std::int64_t tries = patient ? row.gaps : row.attempts;
    row.retry_at = bus_->clock.now() + full_jitter(options.retry_base, tries, patient_cap);
    return row;
}

/// What became of the events that are decided.
Settlement Delivery::settlement_of(const Pass& pass) const {
    Settlement settlement;
    settlement.cursor = position_;
    for (std::size_t i = 0; i < pass.decided; ++i) {
        const Stored& entry = pass.entries[i];
        if (pass.fresh) settlement.cursor = entry.seq;
        bool done = pass.fates[i] == Pass::Fate::done;
        if (done && !pass.fresh) settlement.delivered.push_back(entry.seq);
        if (!pass.fresh || pass.fates[i] != Pass::Fate::open) continue;
        Pending behind;  // due as soon as what it waits for is through
        behind.seq = entry.seq;
        behind.event_id = entry.event.id;
        behind.aggregate_id = entry.event.aggregate_id;
        settlement.pending.push_back(std::move(behind));
    }
    for (const Pending& row : pass.rows)
        if (pass.decided > 0 && row.seq <= pass.entries[pass.decided - 1].seq)
            settlement.pending.push_back(row);
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
    for (const Pending& row : settlement.pending)
        if (!row.error.empty()) report(row);
    co_return Result<void>();
}

void Delivery::report(const Pending& row) const {
    if (row.dead) dead_.add();
    Counter& counter = row.early ? gaps_ : failures_;
    counter.add();
    Level level = row.early ? Level::debug : Level::warn;
    logger().log(
        row.dead ? Level::error : level,
        row.dead ? "event is a dead letter now" : "event failed",
        {{"publisher", publisher_},
         {"consumer", consumer()},
         {"event_id", row.event_id},
         {"aggregate_id", row.aggregate_id},
         {"attempts", row.attempts},
         {"gaps", row.gaps},
         {"error", row.error}}
    );
}

}  // namespace souk::events
