// Forgets the answers of idempotency keys that are older than any client's retry: those of orders
// and of cancellations. What is not answered yet is the sweeper's.
#pragma once

#include "app/services.hpp"

namespace souk::order::app {

inline constexpr std::chrono::hours keep_answers{30 * 24};
inline constexpr std::chrono::minutes prune_every{1};

/// In batches of a commit each, so that nobody waits for it; a bounded number of them, and the next
/// call goes on. Several replicas may do it at once.
Task<void> prune(Services& services);

}  // namespace souk::order::app
