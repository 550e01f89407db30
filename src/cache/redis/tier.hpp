// The values that this process keeps of those in Redis, for a moment, as long as it hears what
// other replicas write. What was read before a key was dropped, or before the tier was emptied, is
// not taken in afterwards.
#pragma once

#include "cache/lru.hpp"
#include "cache/shards.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace souk::cache {

class Tier {
public:
    explicit Tier(std::size_t max_bytes) : shards_(max_bytes, smallest_shard) {}

    std::optional<std::string> get(std::string_view key, SteadyTime now) {
        return shards_.of(key).get(key, now);
    }
    /// To be taken before Redis, or a database, is asked, and given to put() with the answer. Not
    /// 0.
    std::uint64_t ticket(std::string_view key) { return shards_.of(key).ticket(key); }
    void put(std::string_view key, std::uint64_t ticket, std::string value, SteadyTime expires) {
        shards_.of(key).put(key, ticket, std::move(value), expires);
    }
    void drop(std::string_view key) { shards_.of(key).drop(key); }

    /// Empty, and bypassed until opened.
    void shut() {
        shards_.each([](Shard& shard) { shard.set_open(false); });
    }
    void open() {
        shards_.each([](Shard& shard) { shard.set_open(true); });
    }

private:
    static constexpr std::size_t smallest_shard = std::size_t{64} << 10;

    class Shard {
    public:
        explicit Shard(std::size_t max_bytes) : entries_(max_bytes) {}

        std::optional<std::string> get(std::string_view key, SteadyTime now) {
            std::lock_guard lock(mutex_);
            const Lru::Entry* found = entries_.find(key, now);
            if (found == nullptr) return std::nullopt;
            return found->value;
        }
        std::uint64_t ticket(std::string_view key) {
            std::lock_guard lock(mutex_);
            return count_of(key) + epoch_;
        }
        void put(
            std::string_view key, std::uint64_t ticket, std::string value, SteadyTime expires
        ) {
            std::lock_guard lock(mutex_);
            if (!open_ || ticket != count_of(key) + epoch_) return;
            entries_.put(key, std::move(value), expires);
        }
        void drop(std::string_view key) {
            std::lock_guard lock(mutex_);
            ++count_of(key);
            entries_.erase(key);
        }
        void set_open(bool open) {
            std::lock_guard lock(mutex_);
            ++epoch_;
            open_ = open;
            entries_.clear();
        }

    private:
        /// How often one of the keys that share it was dropped. Sums with `epoch_` only ever rise,
        /// so no ticket comes back.
        std::uint64_t& count_of(std::string_view key) {
            return counts_[std::hash<std::string_view>{}(key) / 16 % counts_.size()];
        }

        std::mutex mutex_;
        Lru entries_;
        std::array<std::uint64_t, 256> counts_{};
        std::uint64_t epoch_ = 1;
        bool open_ = false;
    };

    Shards<Shard> shards_;
};

}  // namespace souk::cache
