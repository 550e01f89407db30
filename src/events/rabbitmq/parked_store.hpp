// What a consumer has taken from the broker and could not handle yet, in its own database, so that
// order and counts survive everything. Errors of every call: the database's.
#pragma once

#include "events/handling.hpp"
#include "events/lease.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

/// An event to be kept, with what its failure made of it.
struct Parked {
    Parked(Event event, Pending state) : event(std::move(event)), state(std::move(state)) {}
    Event event;
    Pending state;
};

class ParkedStore {
public:
    ParkedStore(std::string consumer, Database& database, const Clock& clock)
        : consumer_(std::move(consumer)), database_(database), clock_(clock) {}

    Task<Result<Waiting>> waiting();
    /// In order of arrival; what is kept already stays as it is.
    Task<Result<void>> park(std::vector<Parked> events);
    /// Events whose time has come, in order, each lane from its first one on. `seq` is the
    /// place in this store.
    Task<Result<std::vector<Stored>>> due(Timestamp now, std::int64_t count);
    /// Writes down what a pass over due events came to. False when the lease has gone to somebody
    /// else; then nothing is written.
    Task<Result<bool>> settle(
        std::vector<std::int64_t> done, std::vector<Pending> failed, const Lease& lease
    );

private:
    Task<Result<Rows>> query(const Statement& statement, Params params);
    Task<Result<void>> transact(TransactionBody body);

    std::string consumer_;
    Database& database_;
    const Clock& clock_;
};

}  // namespace souk::events::rabbitmq
