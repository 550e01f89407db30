// The relay's side in a publisher's database: what of the outbox has been sent. Errors of every
// call: the database's.
#pragma once

#include "events/handling.hpp"
#include "events/lease.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace souk::events::rabbitmq {

class RelayStore {
public:
    RelayStore(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

    /// In the outbox's order, at most `count` events and about 4 MiB of data. By what is marked,
    /// never behind a cursor: a number may be committed after a higher one.
    Task<Result<std::vector<Stored>>> unsent(std::int64_t count);
    /// Those above `after` that have been sent and are still kept.
    Task<Result<std::vector<Stored>>> sent(std::int64_t after, std::int64_t count);
    /// False when the lease has gone to somebody else; then nothing is marked.
    Task<Result<bool>> mark_sent(std::vector<std::int64_t> seqs, const Lease& lease);

    Task<Result<std::set<std::string>>> listeners();
    Task<Result<void>> add_listener(std::string consumer);
    Task<Result<void>> forget_listener(std::string consumer);

    /// Deletes at most `limit` events sent and older than `before`; returns how many.
    Task<Result<std::int64_t>> prune(Timestamp before, std::int64_t limit);

private:
    Task<Result<Rows>> query(const Statement& statement, Params params);
    Task<Result<std::int64_t>> change(const Statement& statement, Params params);

    Database& database_;
    const Clock& clock_;
};

}  // namespace souk::events::rabbitmq
