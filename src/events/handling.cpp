#include "events/handling.hpp"

#include "events/backoff.hpp"
#include "souk/failpoint.hpp"
#include "souk/log.hpp"

#include <algorithm>
#include <utility>

namespace souk::events {
namespace {

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

void Pass::fail(std::size_t i, Pending row) {
    fates[i] = Fate::failed;
    if (!row.dead) {
        auto added = failed_at.try_emplace(row.lane, i);
        added.first->second = std::min(added.first->second, i);
    }
    rows.push_back(std::move(row));
}

bool Pass::must_wait(std::size_t i) const {
    const std::string& lane = entries[i].lane;
    auto failed = failed_at.find(lane);
    if (failed != failed_at.end() && failed->second < i) return true;
    return fresh && waiting.lanes.contains(lane);
}

std::vector<Pending> Pass::pending() const {
    std::vector<Pending> all;
    for (std::size_t i = 0; fresh && i < decided; ++i)
        if (fates[i] == Fate::open) all.emplace_back(entries[i]);
    for (const Pending& row : rows)
        if (decided > 0 && row.seq <= entries[decided - 1].seq) all.push_back(row);
    return all;
}

std::vector<std::int64_t> Pass::done() const {
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < decided; ++i)
        if (fates[i] == Fate::done) all.push_back(entries[i].seq);
    return all;
}

Handling::Handling(std::shared_ptr<BusContext> bus, std::shared_ptr<Inbox> inbox)
    : bus_(std::move(bus))
    , inbox_(std::move(inbox))
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
      )) {}

/// Tries [from, to) in one transaction. When it rolls back because of one event, that event has had
/// its try; those before it are done again as one transaction, those after it as the next.
Task<Result<void>> Handling::work_through(Pass& pass) {
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
            if (result.applied > 0) bus_->took_effect(inbox_->consumer());
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

Pending Handling::judge(const Stored& stored, const Error& error, bool patient) const {
    Pending row(stored);
    row.early = patient;
    row.attempts = stored.attempts + (patient ? 0 : 1);
    row.gaps = stored.gaps + (patient ? 1 : 0);
    row.dead = exhausted(row.attempts, row.gaps);
    row.error = (error.code + ": " + error.detail).substr(0, error_length);
    std::int64_t tries = patient ? row.gaps : row.attempts;
    row.retry_at = bus_->clock.now() + full_jitter(bus_->options.retry_base, tries, patient_cap);
    return row;
}

bool Handling::exhausted(std::int64_t attempts, std::int64_t gaps) const {
    return attempts >= bus_->options.max_attempts || gaps >= gap_limit;
}

void Handling::report(const std::vector<Pending>& rows) const {
    for (const Pending& row : rows) {
        if (row.error.empty()) continue;
        if (row.dead) dead_.add();
        Counter& counter = row.early ? gaps_ : failures_;
        counter.add();
        Level level = row.early ? Level::debug : Level::warn;
        logger().log(
            row.dead ? Level::error : level,
            row.dead ? "event is a dead letter now" : "event failed",
            {{"consumer", inbox_->consumer()},
             {"event_id", row.event_id},
             {"aggregate_id", row.aggregate_id},
             {"attempts", row.attempts},
             {"gaps", row.gaps},
             {"error", row.error}}
        );
    }
}

microseconds outage_delay(const BusContext& bus, int outages) {
    return full_jitter(bus.options.retry_base, outages, outage_cap);
}

}  // namespace souk::events
