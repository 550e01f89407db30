#include "cache/lru.hpp"
#include "cache/memory.hpp"
#include "cache/shards.hpp"

#include <mutex>

namespace souk::cache {
namespace {

constexpr std::size_t smallest_shard = std::size_t{64} << 10;

class Shard {
public:
    explicit Shard(std::size_t max_bytes) : entries_(max_bytes) {}

    std::optional<std::string> get(std::string_view key, SteadyTime now) {
        std::lock_guard lock(mutex_);
        const Lru::Entry* found = entries_.find(key, now);
        if (found == nullptr || found->lease != 0) return std::nullopt;
        return found->value;
    }

    void put(std::string_view key, std::string value, SteadyTime expires) {
        std::lock_guard lock(mutex_);
        entries_.put(key, std::move(value), expires);
    }

    void erase(std::string_view key) {
        std::lock_guard lock(mutex_);
        entries_.erase(key);
    }

    CacheLookup lookup(std::string_view key, SteadyTime now, milliseconds lease_ttl) {
        std::lock_guard lock(mutex_);
        CacheLookup result;
        const Lru::Entry* found = entries_.find(key, now);
        if (found == nullptr) {
            result.lease = ++last_lease_;
            entries_.put(key, {}, expiry(now, lease_ttl), result.lease);
        } else if (found->lease != 0) {
            result.being_filled = true;
        } else {
            result.value = found->value;
        }
        return result;
    }

    void fill(
        std::string_view key,
        std::uint64_t lease,
        std::string value,
        SteadyTime now,
        SteadyTime expires
    ) {
        std::lock_guard lock(mutex_);
        if (holds(key, lease, now)) entries_.put(key, std::move(value), expires);
    }

    void abandon(std::string_view key, std::uint64_t lease, SteadyTime now) {
        std::lock_guard lock(mutex_);
        if (holds(key, lease, now)) entries_.erase(key);
    }

private:
    bool holds(std::string_view key, std::uint64_t lease, SteadyTime now) {
        const Lru::Entry* found = entries_.find(key, now);
        return found != nullptr && found->lease == lease && lease != 0;
    }

    std::mutex mutex_;
    Lru entries_;
    std::uint64_t last_lease_ = 0;
};

class MemoryCache final : public Cache {
public:
    MemoryCache(const Clock& clock, std::size_t max_bytes)
        : clock_(clock), shards_(max_bytes, smallest_shard) {}

    Task<std::optional<std::string>> get(std::string_view key) override {
        co_return shards_.of(key).get(key, clock_.steady());
    }

    Task<void> put(std::string_view key, std::string value, milliseconds ttl) override {
        shards_.of(key).put(key, std::move(value), expiry(clock_.steady(), ttl));
        co_return;
    }

    Task<void> erase(std::string_view key) override {
        shards_.of(key).erase(key);
        co_return;
    }

    Task<CacheLookup> lookup(std::string_view key, milliseconds lease_ttl) override {
        co_return shards_.of(key).lookup(key, clock_.steady(), lease_ttl);
    }

    Task<void> fill(std::string_view key, std::uint64_t lease, std::string value, milliseconds ttl)
        override {
        const SteadyTime now = clock_.steady();
        shards_.of(key).fill(key, lease, std::move(value), now, expiry(now, ttl));
        co_return;
    }

    Task<void> abandon(std::string_view key, std::uint64_t lease) override {
        shards_.of(key).abandon(key, lease, clock_.steady());
        co_return;
    }

private:
    const Clock& clock_;
    Shards<Shard> shards_;
};

}  // namespace

std::unique_ptr<Cache> make_memory_cache(const Clock& clock, std::size_t max_bytes) {
    return std::make_unique<MemoryCache>(clock, max_bytes);
}

}  // namespace souk::cache
