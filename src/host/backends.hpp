// The cache, the rate limiter and the bus that the configuration asks for: this process's own, or
// Redis and RabbitMQ. Together with storage.cpp the only place that names a driver.
#pragma once

#include "cache/redis/redis.hpp"
#include "events/event_bus.hpp"
#include "host/config.hpp"
#include "souk/cache.hpp"
#include "souk/module.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souk::host {

class Caches {
public:
    Caches(std::unique_ptr<Cache> cache, std::unique_ptr<RateLimiter> limiter)
        : cache_(std::move(cache)), limiter_(std::move(limiter)) {}
    explicit Caches(std::unique_ptr<cache::Redis> redis) : redis_(std::move(redis)) {}

    Cache& cache() { return redis_ ? redis_->cache() : *cache_; }
    RateLimiter& limiter() { return redis_ ? redis_->limiter() : *limiter_; }
    std::string fault() const { return redis_ ? redis_->fault() : std::string(); }

private:
    std::unique_ptr<Cache> cache_;
    std::unique_ptr<RateLimiter> limiter_;
    std::unique_ptr<cache::Redis> redis_;
};

/// Errors: those of cache::open_redis.
Task<Result<std::unique_ptr<Caches>>> open_caches(
    const Config& config, Executor home, Clock& clock, Metrics& metrics
);

/// `all`: the modules of this binary, loaded here or not: they listen somewhere.
std::unique_ptr<events::EventBus> make_bus(
    const Config& config,
    const std::vector<const ModuleInfo*>& all,
    Executor executor,
    Clock& clock,
    Metrics& metrics
);

}  // namespace souk::host
