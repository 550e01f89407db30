// The rules of every bus for handling events, wherever they came from: batches through the inbox,
// one event's failure kept apart from the others, counts, and when to try again (README.md).
#pragma once

#include "events/bus_context.hpp"
#include "events/inbox.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace souk::events {

/// An event with what is known about its delivery to one consumer.
struct Stored {
    Stored() = default;
    std::int64_t seq = 0;       // its place among those of its source
    std::int64_t attempts = 0;  // failures so far
    std::int64_t gaps = 0;      // times that it came too early
    std::string last_error;     // empty where the source does not tell
    std::string lane;           // its events wait for one another: an aggregate of one publisher
    Event event;
};

/// What a failure makes of an event; also one that waits behind another of its aggregate.
struct Pending {
    Pending() = default;
    /// Waits, and is due as soon as what it waits for is through.
    explicit Pending(const Stored& stored)
        : seq(stored.seq)
        , event_id(stored.event.id)
        , aggregate_id(stored.event.aggregate_id)
        , lane(stored.lane) {}
    std::int64_t seq = 0;
    std::string event_id;
    std::string aggregate_id;
    std::string lane;
    std::int64_t attempts = 0;
    std::int64_t gaps = 0;
    bool early = false;  // the last failure was such a one
    Timestamp retry_at{};
    std::string error;  // empty: it waits behind another
    bool dead = false;
};

/// What waits at a consumer: the later events of these lanes wait, too.
struct Waiting {
    Waiting() = default;
    std::unordered_set<std::string> lanes;
    std::int64_t rows = 0;
    Timestamp due = Timestamp::max();  // when something is to be tried next
};

/// With so many events waiting behind failures the consumer is broken, not an event: read no more
/// before some are through or dead.
inline constexpr std::int64_t waiting_limit = 10'000;
inline constexpr std::int64_t batch_bytes = 4 << 20;
inline constexpr std::int64_t retries_a_pass = 64;

/// Some events on their way through the inbox.
struct Pass {
    enum class Fate : std::uint8_t { open, done, failed };

    Pass(std::vector<Stored> stored, const Waiting& waiting, bool fresh)
        : entries(std::move(stored))
        , fates(entries.size(), Fate::open)
        , waiting(waiting)
        , fresh(fresh) {}
    void fail(std::size_t i, Pending row);
    /// Whether an earlier event of its lane is not through.
    bool must_wait(std::size_t i) const;
    /// Rows for those among the decided that failed or wait.
    std::vector<Pending> pending() const;
    /// Those among the decided that are through.
    std::vector<std::int64_t> done() const;

    std::vector<Stored> entries;
    std::vector<Fate> fates;
    const Waiting& waiting;                                  // what waited when this began
    std::unordered_map<std::string, std::size_t> failed_at;  // lane to its first failure
    std::vector<Pending> rows;                               // of those that failed
    std::size_t decided = 0;  // entries before this have met their fate
    bool fresh;               // come for the first time; otherwise tried again
};

class Handling {
public:
    Handling(std::shared_ptr<BusContext> bus, std::shared_ptr<Inbox> inbox);

    /// Tries the events of the pass, in order. An error means that the consumer's database is away;
    /// what was decided before stands.
    Task<Result<void>> work_through(Pass& pass);
    /// Counts and logs the failures that have been written down.
    void report(const std::vector<Pending>& rows) const;
    /// Whether it has had its last try.
    bool exhausted(const Stored& stored) const { return exhausted(stored.attempts, stored.gaps); }
    /// One that no handler ever saw.
    void count_dead() const { dead_.add(); }

private:
    Pending judge(const Stored& stored, const Error& error, bool patient) const;
    bool exhausted(std::int64_t attempts, std::int64_t gaps) const;

    std::shared_ptr<BusContext> bus_;
    std::shared_ptr<Inbox> inbox_;
    Counter& delivered_;
    Counter& failures_;
    Counter& gaps_;
    Counter& dead_;
};

/// How long to wait after `outages` in a row.
microseconds outage_delay(const BusContext& bus, int outages);

}  // namespace souk::events
