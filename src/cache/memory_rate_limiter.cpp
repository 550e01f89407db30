// The token bucket in its form with one number a key (GCRA): the time at which the bucket will be
// full again. Nothing has to be refilled, and a full bucket is the same as none.
#include "cache/memory.hpp"
#include "cache/shards.hpp"

#include <list>
#include <mutex>
#include <unordered_map>

namespace souk::cache {
namespace {

using std::chrono::nanoseconds;  // finer than the clock: limits reach 100,000 a second

constexpr std::size_t smallest_shard = 64;

int whole_seconds_up(nanoseconds duration) {
    return static_cast<int>(std::chrono::ceil<seconds>(duration).count());
}

class Shard {
public:
    explicit Shard(std::size_t max_keys) : max_keys_(std::max<std::size_t>(max_keys, 1)) {}

    RateDecision take(
        std::string_view key, std::int64_t limit, nanoseconds window, nanoseconds now
    ) {
        std::lock_guard lock(mutex_);
        Bucket& bucket = find_or_add(key, now);
        nanoseconds token = window / limit;
        nanoseconds capacity = token * limit;  // the window, but for what the division cut off
        nanoseconds owed = std::max(bucket.full_at - now, nanoseconds(0));
        RateDecision decision;
        decision.limit = limit;
        decision.allowed = owed + token <= capacity;
        if (decision.allowed) {
            owed += token;
            bucket.full_at = now + owed;
        }
        nanoseconds room = std::max(capacity - owed, nanoseconds(0));
        decision.remaining = std::min(room / token, limit);
        decision.reset_s = room >= token ? 0 : whole_seconds_up(owed + token - capacity);
        return decision;
    }

private:
    struct Bucket {
        explicit Bucket(std::string key) : key(std::move(key)) {}
        std::string key;
        nanoseconds full_at{0};
    };
    using Buckets = std::list<Bucket>;

    Bucket& find_or_add(std::string_view key, nanoseconds now) {
        if (auto found = by_key_.find(key); found != by_key_.end()) {
            buckets_.splice(buckets_.begin(), buckets_, found->second);
            return *found->second;
        }
        // At most two a call, so that no request pays for all the forgotten ones.
        for (int i = 0; i < 2 && !buckets_.empty() && buckets_.back().full_at <= now; ++i)
            remove_oldest();
        // Of those that are not full, the least recently used has the least to lose.
        if (buckets_.size() >= max_keys_) remove_oldest();
        buckets_.emplace_front(std::string(key));
        by_key_.emplace(buckets_.front().key, buckets_.begin());
        return buckets_.front();
    }

    void remove_oldest() {
        by_key_.erase(buckets_.back().key);
        buckets_.pop_back();
    }

    const std::size_t max_keys_;
    std::mutex mutex_;
    Buckets buckets_;                                                 // most recently used first
    std::unordered_map<std::string_view, Buckets::iterator> by_key_;  // keys live in the buckets
};

class MemoryRateLimiter final : public RateLimiter {
public:
    MemoryRateLimiter(const Clock& clock, std::size_t max_keys)
        : clock_(clock), shards_(max_keys, smallest_shard) {}

    Task<RateDecision> take(std::string_view key, std::int64_t limit, seconds window) override {
        co_return decide(key, limit, window);
    }

private:
    RateDecision decide(std::string_view key, std::int64_t limit, seconds window) {
        nanoseconds span(window);
        if (limit > 0 && limit <= span.count())
            return shards_.of(key).take(key, limit, span, clock_.steady().time_since_epoch());
        RateDecision none;  // a limit of nothing
        none.allowed = limit > 0;
        none.limit = std::max<std::int64_t>(limit, 0);
        none.remaining = none.limit;
        none.reset_s = none.allowed ? 0 : static_cast<int>(window.count());
        return none;
    }

    const Clock& clock_;
    Shards<Shard> shards_;
};

}  // namespace

std::unique_ptr<RateLimiter> make_memory_rate_limiter(const Clock& clock, std::size_t max_keys) {
    return std::make_unique<MemoryRateLimiter>(clock, max_keys);
}

}  // namespace souk::cache
