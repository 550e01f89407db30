// The consumer's side of every bus: handles a batch of events in one transaction of the listening
// module's database, where the inbox row of each event is part of it, so that an event which
// arrives twice takes effect once. Which event is at fault when the batch rolls back, and whether
// it was the event's fault at all, is told to the bus, which decides about retries.
#pragma once

#include "souk/events.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souk::events {

/// Why a batch rolled back.
enum class Blame : std::uint8_t {
    none,      // it did not: all events have taken effect
    event,     // the handler of events[at] refused it
    batch,     // unknown (the COMMIT failed, time ran out): try fewer events at once
    database,  // the consumer's database is away: no event's fault, try again later
};

struct Consumed {
    Blame blame = Blame::none;
    std::size_t at = 0;       // for Blame::event
    std::size_t applied = 0;  // events that took effect now; the others had done so before
    Error error;
};

class Inbox {
public:
    Inbox(std::string consumer, Database& database, const Clock& clock);

    /// Errors: `invalid` "duplicate_subscription" when the type has a handler already.
    Result<void> subscribe(Subscription subscription);
    bool subscribes(std::string_view type) const;
    const std::string& consumer() const;

    /// Takes the events in their order. Returns `Consumed`, never throws for what a handler does.
    Task<Consumed> consume(std::vector<Event> events);

    /// Deletes at most `limit` rows handled before `before`, looking at the ids above `after`;
    /// returns the id to go on from, empty at the end. Errors: the database's.
    Task<Result<std::string>> prune(Timestamp before, std::string after, std::int64_t limit);

private:
    struct State;
    struct Batch;
    static Task<Result<void>> apply(Transaction& tx, std::shared_ptr<Batch> batch);
    static Task<Result<void>> handle(Transaction& tx, std::shared_ptr<Batch> batch);

    std::shared_ptr<State> state_;  // shared with bodies, which may outlive the bus on a thread
    Database& database_;
    const Clock& clock_;
};

}  // namespace souk::events
