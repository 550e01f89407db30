// The cache port on Redis. A value stands under its key with a 'V' before it; an 'L' and a number
// stand there while somebody who missed it has the lease to fill it. Every write deletes or
// replaces that, so a fill that comes late finds its lease gone: one key, no clock, no tombstone.
#pragma once

#include "cache/redis/link.hpp"
#include "cache/redis/tier.hpp"
#include "souk/cache.hpp"
#include "souk/metrics.hpp"

#include <memory>
#include <string>

namespace souk::cache {

class RedisCache final : public Cache {
public:
    RedisCache(
        Clock& clock, Metrics& metrics, std::string prefix, std::size_t tier_bytes, Executor home
    );
    ~RedisCache() override;

    /// Before the first call.
    void use(std::shared_ptr<Link> link);
    std::string channel() const;
    /// For the link that is subscribed to channel(). May outlive this object.
    LinkEvents channel_events();

    Task<std::optional<std::string>> get(std::string_view key) override;
    Task<void> put(std::string_view key, std::string value, milliseconds ttl) override;
    Task<void> erase(std::string_view key) override;
    Task<CacheLookup> lookup(std::string_view key, milliseconds lease_ttl) override;
    Task<void> fill(std::string_view key, std::uint64_t lease, std::string value, milliseconds ttl)
        override;
    Task<void> abandon(std::string_view key, std::uint64_t lease) override;
    Cache& nearby() override;

private:
    struct State;
    class Nearby;
    const std::shared_ptr<State> state_;
    const std::unique_ptr<Nearby> nearby_;
};

}  // namespace souk::cache
