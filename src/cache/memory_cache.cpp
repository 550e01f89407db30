#include "cache/memory.hpp"
#include "cache/shards.hpp"

#include <list>
#include <mutex>
#include <unordered_map>

namespace souk::cache {
namespace {

// What a value costs beside its bytes: a list node, a hash node, two allocations' headers.
constexpr std::size_t entry_overhead = 160;
constexpr std::size_t smallest_shard = std::size_t{64} << 10;

/// Least recently used first out; one lock.
class Shard {
public:
    explicit Shard(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    std::optional<std::string> get(std::string_view key, SteadyTime now) {
        std::lock_guard lock(mutex_);
        auto found = by_key_.find(key);
        if (found == by_key_.end()) return std::nullopt;
        if (found->second->expires <= now) {
            remove(found->second);
            return std::nullopt;
        }
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->value;
    }

    void put(std::string_view key, std::string value, SteadyTime expires) {
        std::lock_guard lock(mutex_);
        if (auto found = by_key_.find(key); found != by_key_.end()) remove(found->second);
        std::size_t size = key.size() + value.size() + entry_overhead;
        if (size > max_bytes_) return;
        while (bytes_ + size > max_bytes_)
            remove(std::prev(entries_.end()));
        entries_.emplace_front(std::string(key), std::move(value), expires, size);
        by_key_.emplace(entries_.front().key, entries_.begin());
        bytes_ += size;
    }

    void erase(std::string_view key) {
        std::lock_guard lock(mutex_);
        if (auto found = by_key_.find(key); found != by_key_.end()) remove(found->second);
    }

private:
    struct Entry {
        Entry(std::string key, std::string value, SteadyTime expires, std::size_t size)
            : key(std::move(key)), value(std::move(value)), expires(expires), size(size) {}
        std::string key;
        std::string value;
        SteadyTime expires;
        std::size_t size;
    };
    using Entries = std::list<Entry>;

    void remove(Entries::iterator entry) {
        bytes_ -= entry->size;
        by_key_.erase(entry->key);
        entries_.erase(entry);
    }

    const std::size_t max_bytes_;
    std::mutex mutex_;
    std::size_t bytes_ = 0;
    Entries entries_;                                                 // most recently used first
    std::unordered_map<std::string_view, Entries::iterator> by_key_;  // keys live in the entries
};

class MemoryCache final : public Cache {
public:
    MemoryCache(const Clock& clock, std::size_t max_bytes)
        : clock_(clock), shards_(max_bytes, smallest_shard) {}

    Task<std::optional<std::string>> get(std::string_view key) override {
        co_return shards_.of(key).get(key, clock_.steady());
    }

    Task<void> put(std::string_view key, std::string value, milliseconds ttl) override {
        SteadyTime now = clock_.steady();
        SteadyTime expires = ttl > SteadyTime::max() - now ? SteadyTime::max() : now + ttl;
        shards_.of(key).put(key, std::move(value), expires);
        co_return;
    }

    Task<void> erase(std::string_view key) override {
        shards_.of(key).erase(key);
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
