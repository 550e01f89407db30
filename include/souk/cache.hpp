// The cache port: small values by key with a time to live, and counters for rate limits. A cache
// may forget anything at any time; nothing that decides a price or a stock comes from it.
#pragma once

#include "souk/async.hpp"
#include "souk/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace souk {

class Cache {
public:
    virtual ~Cache() = default;
    /// Nothing when absent, expired or the server is away: a miss is never an error.
    virtual Task<std::optional<std::string>> get(std::string_view key) = 0;
    virtual Task<void> put(std::string_view key, std::string value, milliseconds ttl) = 0;
    virtual Task<void> erase(std::string_view key) = 0;
};

struct RateDecision {
    bool allowed = true;
    std::int64_t limit = 0;
    std::int64_t remaining = 0;
    int reset_s = 0;  // until a request is certainly allowed again
};

class RateLimiter {
public:
    virtual ~RateLimiter() = default;
    /// Takes one of `limit` requests per `window` for `key`.
    virtual Task<RateDecision> take(std::string_view key, std::int64_t limit, seconds window) = 0;
};

}  // namespace souk
