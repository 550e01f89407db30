// The embedded cache and rate limiter: bounded, sharded, in this process only.
#pragma once

#include "souk/cache.hpp"

#include <memory>

namespace souk::cache {

/// Least recently used values go first when `max_bytes` is reached.
std::unique_ptr<Cache> make_memory_cache(const Clock& clock, std::size_t max_bytes);

/// A token bucket a key; forgets full buckets; at most `max_keys`.
std::unique_ptr<RateLimiter> make_memory_rate_limiter(const Clock& clock, std::size_t max_keys);

}  // namespace souk::cache
