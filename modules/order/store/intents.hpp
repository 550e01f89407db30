// The SQL of intents: who set out to do what, under which key, and who may go on with it.
#pragma once

#include "store/orders.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::order::store {

/// A key of a caller, and what the request under it would become.
struct IntentRequest {
    IntentRequest() = default;
    std::string caller;
    std::string route;
    std::string key;
    std::string body_hash;
    std::string order_id;  // used when the key is new
    Timestamp now{};
    Timestamp lease_until{};
    std::optional<ImportRef> import;
};

/// The right to finish an intent, until somebody takes it over with a higher fence.
struct Lease {
    Lease() = default;
    std::string order_id;
    std::int64_t fence = 0;
};

struct StoredIntent {
    StoredIntent() = default;
    std::string body_hash;
    std::string order_id;
    bool final = false;
    int answer_status = 0;
    std::string answer_body;
    Timestamp lease_until{};
};

struct Claimed {
    Claimed() = default;
    Lease lease;
    std::optional<Imported> duplicate;  // the import is here already
};

/// The body's only statement: claims a new key, or takes an expired lease of the same body over
/// under the same order id with the next fence. Nothing when neither is possible: see
/// find_intent().
Task<Result<std::optional<Claimed>>> claim_intent(Transaction& tx, IntentRequest request);
/// The same for many, whose keys differ. PostgreSQL only; the last of its body.
Task<Result<std::vector<std::optional<Claimed>>>> claim_intents(
    Transaction& tx, const std::vector<IntentRequest>& requests
);
Task<Result<std::optional<StoredIntent>>> find_intent(
    Database& database, std::string caller, std::string route, std::string key, Deadline deadline
);

/// Stores the final answer; false when the lease was lost.
Task<Result<bool>> finish_intent(Transaction& tx, Lease lease, int status, std::string body);
/// Ends the lease now, so that a retry need not wait for it.
Task<Result<void>> reopen_intent(Transaction& tx, Lease lease, Timestamp now);
/// Forgets the intent: the key is as good as never used.
Task<Result<void>> drop_intent(Transaction& tx, Lease lease);

/// Open intents whose lease ended by `before` and dead ones whose lease ended by `now`, oldest
/// first.
Task<Result<std::vector<Lease>>> find_abandoned(
    Database& database, Timestamp before, Timestamp now, std::size_t limit, Deadline deadline
);
/// Raises the fence of each that is still as it was found, so that nobody finishes it any more, and
/// leases it until `lease_until` to the one sweeper that gets it: those are the result.
Task<Result<std::vector<Lease>>> kill_intents(
    Transaction& tx, std::vector<Lease> abandoned, Timestamp lease_until
);
/// Of those that are dead, whoever fenced them last: what is released is released for all.
Task<Result<void>> drop_intents(Transaction& tx, std::vector<Lease> dead);

/// Deletes up to `limit` answered intents made before `before`, the oldest first; how many.
Task<Result<std::int64_t>> prune_intents(Transaction& tx, Timestamp before, std::size_t limit);

struct UnfinishedIntent {
    UnfinishedIntent() = default;
    std::string order_id;
    std::string status;
    Timestamp lease_until{};
};
Task<Result<std::vector<UnfinishedIntent>>> audit_intents(
    Database& database, std::string after_order, std::size_t limit, Deadline deadline
);

}  // namespace souk::order::store
