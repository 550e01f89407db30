// What a process took ahead for a key of the limiter, so that those who come often need not ask
// Redis each time: as many as came in the last tenth of a second, to be spent in the next one. What
// is left then is forgotten, so a frequent caller may lose up to a sixteenth of its remaining quota a
// process. What is spent up to 100 ms late has come back in Redis meanwhile: replicas together can
// exceed the bucket by a tenth of a second of its rate, and one never does.
#pragma once

#include "cache/shards.hpp"
#include "souk/clock.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souk::cache {

class Purses {
public:
    Purses() : shards_(max_keys, max_keys / 16) {}

    /// Takes one of `limit`: how many the caller has left; nothing when Redis has to be asked.
    std::optional<std::int64_t> spend(std::string_view key, std::int64_t limit, SteadyTime now) {
        return shards_.of(key).spend(key, limit, now);
    }
    /// How many to take ahead; who is told of any must call fill(). Others take just their own
    /// meanwhile.
    std::int64_t wanted(std::string_view key, SteadyTime now) {
        return shards_.of(key).wanted(key, now);
    }
    /// `asked`: before Redis was, whose answer left `remaining` to the caller beside those.
    void fill(
        std::string_view key,
        std::int64_t limit,
        std::int64_t tokens,
        std::int64_t remaining,
        SteadyTime asked
    ) {
        shards_.of(key).fill(key, limit, tokens, remaining, asked);
    }

private:
    static constexpr milliseconds lifetime{100};
    static constexpr std::size_t max_keys = 16 * 1024;

    struct Purse {
        std::int64_t limit = 0;
        std::int64_t tokens = 0;
        std::int64_t remaining = 0;  // in Redis
        std::int64_t came = 0;
        SteadyTime counted_from{};
        std::int64_t in_lifetime = 0;  // how many came in the last one
        SteadyTime asked{};
        SteadyTime ends{};
        bool asking = false;
    };

    class Shard {
    public:
        explicit Shard(std::size_t max_keys) : max_keys_(max_keys) {}

        std::optional<std::int64_t> spend(
            std::string_view key, std::int64_t limit, SteadyTime now
        ) {
            std::lock_guard lock(mutex_);
            Purse& purse = find_or_add(key);
            ++purse.came;
            const bool good = purse.tokens > 0 && now < purse.ends && purse.limit == limit;
            if (!good) return std::nullopt;
            return purse.remaining + --purse.tokens;
        }

        std::int64_t wanted(std::string_view key, SteadyTime now) {
            std::lock_guard lock(mutex_);
            Purse& purse = find_or_add(key);
            if (purse.asking && now < purse.asked + lifetime) return 0;
            const auto since = now - purse.counted_from;
            if (since >= lifetime) {
                purse.in_lifetime = purse.came * lifetime / since;
                purse.counted_from = now;
                purse.came = 0;
            } else {
                purse.in_lifetime = std::max(purse.in_lifetime, purse.came);
            }
            purse.asked = now;
            purse.asking = purse.in_lifetime > 1;
            return purse.asking ? purse.in_lifetime : 0;
        }

        void fill(
            std::string_view key,
            std::int64_t limit,
            std::int64_t tokens,
            std::int64_t remaining,
            SteadyTime asked
        ) {
            std::lock_guard lock(mutex_);
            Purse& purse = find_or_add(key);
            purse.limit = limit;
            purse.tokens = tokens;
            purse.remaining = remaining;
            purse.ends = asked + lifetime;
            purse.asking = false;
        }

    private:
        /// Beyond the bound all are forgotten: who comes often has one again at once.
        Purse& find_or_add(std::string_view key) {
            if (auto found = purses_.find(key); found != purses_.end()) return found->second;
            if (purses_.size() >= max_keys_) purses_.clear();
            return purses_[std::string(key)];
        }

        struct Hash {
            using is_transparent = void;
            std::size_t operator()(std::string_view text) const {
                return std::hash<std::string_view>()(text);
            }
        };
        const std::size_t max_keys_;
        std::mutex mutex_;
        std::unordered_map<std::string, Purse, Hash, std::equal_to<>> purses_;
    };

    Shards<Shard> shards_;
};

}  // namespace souk::cache
