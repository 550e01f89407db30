// The SQL of the idempotency keys of cancellations.
#pragma once

#include "souk/database.hpp"

#include <optional>
#include <string>

namespace souk::order::store {

struct CancelRequest {
    CancelRequest() = default;
    std::string caller;
    std::string key;
    std::string request_hash;
    std::string answer;
};

Task<Result<std::optional<CancelRequest>>> find_cancel_request(
    Database& database, std::string caller, std::string key, Deadline deadline
);
/// False when the key is taken.
Task<Result<bool>> insert_cancel_request(Transaction& tx, CancelRequest request, Timestamp now);
/// Deletes up to `limit` of them made before `before`, the oldest first; how many.
Task<Result<std::int64_t>> prune_cancel_requests(
    Transaction& tx, Timestamp before, std::size_t limit
);

}  // namespace souk::order::store
