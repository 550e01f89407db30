// The embedded bus' side in a publisher's database: the outbox that it reads, a cursor for each
// consumer, and a delivery row for each event that a consumer has to take again (or never will:
// dead letters). SQLite only: one writer, so a sequence number is never committed after a higher
// one. Errors of every call: the database's.
#pragma once

#include "events/handling.hpp"
#include "souk/events.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace souk::events {

/// What a pass over some events came to; written as a whole.
struct Settlement {
    Settlement() = default;
    std::int64_t cursor = 0;
    std::vector<std::int64_t> delivered;  // had a row, which goes
    std::vector<Pending> pending;         // new or changed rows
};

struct Cursor {
    Cursor() = default;
    Cursor(std::string consumer, std::int64_t seq) : consumer(std::move(consumer)), seq(seq) {}
    std::string consumer;
    std::int64_t seq = 0;
};

class BusStore {
public:
    BusStore(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

    /// The newest event's number, 0 when the outbox is empty.
    Task<Result<std::int64_t>> head();
    /// The consumer's cursor; a new consumer begins before the oldest event that is kept.
    Task<Result<std::int64_t>> open_cursor(std::string consumer);
    Task<Result<void>> save_cursors(std::vector<Cursor> cursors);

    /// In order, at most `count` events and about `bytes` of data, yet at least one if there is
    /// one.
    Task<Result<std::vector<Stored>>> read(
        std::int64_t after, std::int64_t count, std::int64_t bytes
    );
    /// Events whose time has come, in order, each aggregate from its first waiting event on.
    Task<Result<std::vector<Stored>>> due(std::string consumer, Timestamp now, std::int64_t count);
    Task<Result<Waiting>> waiting(std::string consumer);
    Task<Result<void>> settle(std::string consumer, Settlement settlement);

    /// The oldest `limit` dead letters.
    Task<Result<std::vector<DeadLetter>>> dead_letters(std::int64_t limit);
    /// Makes a dead letter due again; false when there is none.
    Task<Result<bool>> revive(std::string consumer, std::string event_id);
    /// Forgets a dead letter; false when there is none.
    Task<Result<bool>> drop(std::string consumer, std::string event_id);

    /// Looks at `limit` events above `after`; deletes those older than `before` that every consumer
    /// has passed and no delivery row names. Returns the number to go on from, 0 at the end.
    Task<Result<std::int64_t>> prune(Timestamp before, std::int64_t after, std::int64_t limit);

private:
    Task<Result<Rows>> query(const Statement& statement, Params params);
    Task<Result<void>> transact(TransactionBody body);
    /// One statement as a transaction; returns how many rows it changed.
    Task<Result<std::int64_t>> change(const Statement& statement, Params params);

    Database& database_;
    const Clock& clock_;
};

}  // namespace souk::events
