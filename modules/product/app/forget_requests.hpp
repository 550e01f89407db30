// Forgets the answers to stock changes that nobody repeats any more.
#pragma once

#include "app/services.hpp"

namespace souk::product::app {

/// How long a stock change may be repeated with its Idempotency-Key.
inline constexpr std::chrono::hours request_retention{30 * 24};
inline constexpr std::size_t max_forgotten = 1000;  // in one step

/// One step of a background task.
Task<void> forget_old_requests(Services& services);

}  // namespace souk::product::app
