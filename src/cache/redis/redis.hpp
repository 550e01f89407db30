// The cache and the rate limiter on Redis, so that replicas share them: hiredis without blocking,
// commands of all requests pipelined over one connection, a small tier of this process's memory in
// front of the cache whose values other replicas' writes drop. Without Redis both go on: the cache
// misses, the limiter counts in this process.
#pragma once

#include "souk/cache.hpp"
#include "souk/error.hpp"
#include "souk/metrics.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace souk::cache {

struct RedisOptions {
    std::string url;  // redis://[user[:password]@]host[:port][/db], rediss://
    std::filesystem::path password_file = {};  // read at each connect; empty: as in the url
    std::filesystem::path ca_file = {};        // empty: the system's
    std::string prefix = "souk:";
    milliseconds timeout{250};          // of a command; then the answer is made without Redis
    std::size_t tier_bytes = 16 << 20;  // this process's memory
};

class Redis {
public:
    virtual ~Redis() = default;
    virtual Cache& cache() = 0;
    virtual RateLimiter& limiter() = 0;
    /// Why it is not connected, in words for an operator; empty when it is. Any thread.
    virtual std::string fault() const = 0;
};

/// Connects once. That no server answers is no error (it is logged, and tried again for ever);
/// what waiting does not mend is, with words that say what to do: `invalid` "redis_url",
/// "redis_ca", "redis_password_file" (they cannot be used), `unavailable` "redis_auth" (wrong
/// password or no right), "redis_version" (older than 6.0), "redis_database" (no such number),
/// "redis_tls" (the certificate is not the host's). The connections live on `home`; calls may come
/// from any thread. `clock` and `metrics` must outlive the last run of `home`. The result may be
/// destroyed on any thread, also after `home` has stopped, when no call is in flight.
Task<Result<std::unique_ptr<Redis>>> open_redis(
    RedisOptions options, Executor home, Clock& clock, Metrics& metrics
);

}  // namespace souk::cache
