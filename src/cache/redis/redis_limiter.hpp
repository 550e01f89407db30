// The limiter on Redis, one bucket for all replicas. While Redis is away each replica decides by a
// bucket of its own, which takes part in what Redis allowed; so none ever allows more than the
// limit itself, whenever Redis comes and goes: two replicas at most twice the limit. Of who comes
// often a replica takes some ahead (purse.hpp).
#pragma once

#include "cache/redis/link.hpp"
#include "cache/redis/purse.hpp"
#include "souk/cache.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace souk::cache {

class RedisLimiter final : public RateLimiter {
public:
    RedisLimiter(const Clock& clock, std::string prefix);

    /// Before the first call.
    void use(std::shared_ptr<Link> link);
    Task<RateDecision> take(std::string_view key, std::int64_t limit, seconds window) override;

private:
    Task<Reply> ask(std::string key, std::int64_t limit, seconds window, std::int64_t ahead);

    const Clock& clock_;
    const std::string prefix_;
    const std::unique_ptr<RateLimiter> local_;
    std::shared_ptr<Link> link_;
    Purses purses_;
    std::atomic<SteadyTime> alone_{SteadyTime::min()};  // when Redis last did not answer
};

}  // namespace souk::cache
