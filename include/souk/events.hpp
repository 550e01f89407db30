// Events between modules. A module appends events to its outbox in the transaction that makes them
// true; the relay delivers each to every subscribed module at least once, in version order per
// aggregate; the inbox makes each take effect once, in one transaction with the handler's own
// writes. The embedded bus and RabbitMQ promise the same (tests/contract).
#pragma once

#include "souk/database.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace souk {

struct Event {
    Event() = default;
    Event(std::string type, std::string aggregate_id, std::int64_t version, std::string data)
        : type(std::move(type))
        , aggregate_id(std::move(aggregate_id))
        , version(version)
        , data(std::move(data)) {}
    std::string id;            // "evt_...", given by append()
    std::string type;          // "order.placed"; its part before the dot is the publishing module
    std::string aggregate_id;  // "ord_..."
    std::int64_t version = 0;  // of the aggregate: 1, 2, 3 ... without gap among all its events
    std::string data;          // a JSON object
    std::string traceparent;   // of the request that caused it; may be empty
    Timestamp time{};          // when it was appended
};

/// Writes `event` to the outbox of the module whose transaction this is. Errors: the database's.
Task<Result<void>> append_event(Transaction& tx, const Clock& clock, Event event);

/// Handles one event inside a transaction of the listening module; the inbox row is part of it. May
/// run more than once, takes effect once. An error (or exception) is counted and retried with a
/// delay; after 5 failures the event goes to the dead letters. For an event that arrives before its
/// predecessor return `gap()`; for a stale one return success and do nothing.
using EventHandler = std::function<Task<Result<void>>(Transaction&, const Event&)>;

/// The same for events of one type that came one after another, in their order: one statement for
/// many. An error is that of all; they are then tried in smaller parts until it is known whose it
/// is.
using BatchHandler = std::function<Task<Result<void>>(Transaction&, std::span<const Event>)>;

struct Subscription {
    Subscription(std::string type, EventHandler handler)
        : type(std::move(type)), handler(std::move(handler)) {}
    Subscription(std::string type, BatchHandler batch_handler);
    std::string type;
    EventHandler handler;
    BatchHandler batch_handler;  // empty: each event alone
};

/// "Too early": the aggregate's earlier event has not arrived yet.
Error gap();

/// What the host's bus offers to a module: wake the relay after a commit that appended events, so
/// that it need not wait for its poll. Cheap, callable from any thread, may be spurious.
class Bus {
public:
    virtual ~Bus() = default;
    virtual void wake() = 0;
};

}  // namespace souk
