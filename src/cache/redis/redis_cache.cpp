#include "cache/redis/redis_cache.hpp"

#include "cache/redis/scripts.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <utility>

namespace souk::cache {
namespace {

// What a lost message could cost at most: nothing stays longer in this process's memory.
constexpr milliseconds longest_in_tier{2000};
constexpr std::size_t largest_value = std::size_t{1} << 20;
// Writes that Redis did not hear of; what is beyond, the values' time to live ends.
constexpr std::size_t max_unheard = 1024;
constexpr milliseconds tell_again{250};

constexpr char value_mark = 'V';
constexpr char lease_mark = 'L';

std::uint64_t new_lease() {
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return std::max<std::uint64_t>(engine(), 1);
}

struct TierMetrics {
    TierMetrics(Metrics& metrics, std::string_view tier)
        : hits(counter(metrics, tier, "hit"))
        , misses(counter(metrics, tier, "miss"))
        , away(counter(metrics, tier, "away")) {}
    static Counter& counter(Metrics& metrics, std::string_view tier, std::string_view result) {
        return metrics.counter(
            "cache_requests_total",
            "Reads of the cache, by tier and what came of them",
            {{"tier", tier}, {"result", result}}
        );
    }
    Counter& hits;
    Counter& misses;
    Counter& away;
};

/// Keys whose last write did not reach Redis for sure, with the number of that write.
using Unheard = std::map<std::string, std::uint64_t>;

}  // namespace

struct RedisCache::State : std::enable_shared_from_this<RedisCache::State> {
    State(Clock& clock, Metrics& metrics, std::string prefix, std::size_t bytes, Executor home)
        : clock(clock)
        , in_tier(metrics, "process")
        , in_redis(metrics, "redis")
        , key_prefix(prefix + "cache:")
        , channel(prefix + "cache-written")
        , tier(bytes)
        , home(home) {}

    std::string full(std::string_view key) const { return key_prefix + std::string(key); }

    /// Asks nothing of Redis about a key that was written without its knowledge. `lease`: none, or
    /// its number and milliseconds.
    Task<CacheLookup> read(std::string key, std::vector<std::string> lease);
    /// `content`: none, or what to put and milliseconds. False when Redis did not hear of it.
    Task<bool> write(std::string key, std::vector<std::string> content);
    void remember_unheard(const std::string& key);
    bool is_unheard(const std::string& key);
    static Task<void> tell_unheard(std::shared_ptr<State> self);
    Task<void> tell_one(std::string key, std::uint64_t number);

    Clock& clock;
    TierMetrics in_tier;
    TierMetrics in_redis;
    const std::string key_prefix;
    const std::string channel;
    Tier tier;
    const Executor home;
    std::shared_ptr<Link> link;

    std::mutex mutex;
    Unheard unheard;
    std::uint64_t last_unheard = 0;
    std::atomic<std::size_t> unheard_count = 0;
    bool telling = false;
    std::atomic<bool> closed = false;
};

Task<CacheLookup> RedisCache::State::read(std::string key, std::vector<std::string> lease) {
    CacheLookup result;
    if (auto value = tier.get(key, clock.steady())) {
        in_tier.hits.add();
        result.value = std::move(value);
        co_return result;
    }
    in_tier.misses.add();
    const std::uint64_t ticket = tier.ticket(key);  // before the look at what is unheard
    if (is_unheard(key)) co_return result;
    const SteadyTime asked = clock.steady();
    auto reply = co_await run_script(*link, read_script(), full(key), std::move(lease));
    if (reply.kind == Reply::Kind::away) {
        in_redis.away.add();
        co_return result;
    }
    result.lease = reply.kind == Reply::Kind::nil ? 1 : 0;  // the caller knows which
    const bool found = reply.items.size() == 2 && !reply.items[0].text.empty();
    std::string content = found ? std::move(reply.items[0].text) : std::string();
    result.being_filled = found && content.front() == lease_mark;
    if (!found || content.front() != value_mark) {
        in_redis.misses.add();
        co_return result;
    }
    in_redis.hits.add();
    result.value = content.substr(1);
    const milliseconds left(std::max<std::int64_t>(reply.items[1].integer, 0));
    tier.put(key, ticket, *result.value, asked + std::min(left, longest_in_tier));
    co_return result;
}

Task<bool> RedisCache::State::write(std::string key, std::vector<std::string> content) {
    tier.drop(key);
    content.insert(content.begin(), channel);
    auto reply = co_await run_script(*link, write_script(), full(key), std::move(content));
    const bool heard = reply.kind == Reply::Kind::integer;
    if (!heard) remember_unheard(key);
    tier.drop(key);  // again: somebody may have read the old value meanwhile
    co_return heard;
}

bool RedisCache::State::is_unheard(const std::string& key) {
    if (unheard_count == 0) return false;
    std::lock_guard lock(mutex);
    return unheard.contains(key);
}

void RedisCache::State::remember_unheard(const std::string& key) {
    std::lock_guard lock(mutex);
    if (unheard.size() >= max_unheard && !unheard.contains(key)) return;
    unheard[key] = ++last_unheard;
    unheard_count = unheard.size();
    if (std::exchange(telling, true)) return;
    spawn(home, [self = shared_from_this()] { return tell_unheard(self); });
}

Task<void> RedisCache::State::tell_unheard(std::shared_ptr<State> self) {
    for (;;) {
        co_await self->clock.sleep(tell_again);
        if (self->closed) co_return;
        Unheard keys;
        {
            std::lock_guard lock(self->mutex);
            if (self->unheard.empty()) {
                self->telling = false;
                co_return;
            }
            if (self->link->up()) keys = self->unheard;
        }
        for (const auto& [key, number] : keys)
            co_await self->tell_one(key, number);
    }
}

Task<void> RedisCache::State::tell_one(std::string key, std::uint64_t number) {
    std::vector<std::string> nothing;
    if (!co_await write(key, std::move(nothing))) co_return;
    std::lock_guard lock(mutex);
    const auto told = unheard.find(key);
    if (told == unheard.end() || told->second != number) co_return;  // written again meanwhile
    unheard.erase(told);
    unheard_count = unheard.size();
}

/// The tier alone. The ticket is the lease: a key that was written since, here or elsewhere, and a
/// tier that no longer hears of writes, take nothing in.
class RedisCache::Nearby final : public Cache {
public:
    Nearby(RedisCache& all, State& state) : all_(all), state_(state) {}

    Task<std::optional<std::string>> get(std::string_view key) override {
        auto value = state_.tier.get(key, state_.clock.steady());
        if (value) state_.in_tier.hits.add();
        co_return value;
    }
    Task<void> put(std::string_view key, std::string value, milliseconds ttl) override {
        return all_.put(key, std::move(value), ttl);
    }
    Task<void> erase(std::string_view key) override { return all_.erase(key); }

    Task<CacheLookup> lookup(std::string_view key, milliseconds) override {
        CacheLookup result(state_.tier.get(key, state_.clock.steady()));
        if (!result.value) result.lease = state_.tier.ticket(key);
        (result.value ? state_.in_tier.hits : state_.in_tier.misses).add();
        co_return result;
    }
    Task<void> fill(std::string_view key, std::uint64_t lease, std::string value, milliseconds ttl)
        override {
        const SteadyTime expires = state_.clock.steady() + std::min(ttl, longest_in_tier);
        if (lease != 0) state_.tier.put(key, lease, std::move(value), expires);
        co_return;
    }

private:
    RedisCache& all_;
    State& state_;
};

RedisCache::RedisCache(
    Clock& clock, Metrics& metrics, std::string prefix, std::size_t tier_bytes, Executor home
)
    : state_(std::make_shared<State>(clock, metrics, std::move(prefix), tier_bytes, home))
    , nearby_(std::make_unique<Nearby>(*this, *state_)) {}

RedisCache::~RedisCache() {
    state_->closed = true;
}

void RedisCache::use(std::shared_ptr<Link> link) {
    state_->link = std::move(link);
}

Cache& RedisCache::nearby() {
    return *nearby_;
}

std::string RedisCache::channel() const {
    return state_->channel;
}

LinkEvents RedisCache::channel_events() {
    LinkEvents events;
    events.on_up = [state = state_] { state->tier.open(); };
    events.on_down = [state = state_] { state->tier.shut(); };
    events.on_message = [state = state_](std::string_view key) {
        if (!key.starts_with(state->key_prefix)) return;
        state->tier.drop(key.substr(state->key_prefix.size()));
    };
    return events;
}

Task<std::optional<std::string>> RedisCache::get(std::string_view key) {
    std::vector<std::string> none;
    auto found = co_await state_->read(std::string(key), std::move(none));
    co_return std::move(found.value);
}

Task<CacheLookup> RedisCache::lookup(std::string_view key, milliseconds lease_ttl) {
    const std::uint64_t lease = new_lease();
    std::vector<std::string> asked;
    asked.push_back(std::to_string(lease));
    asked.push_back(std::to_string(std::max<milliseconds::rep>(lease_ttl.count(), 1)));
    auto found = co_await state_->read(std::string(key), std::move(asked));
    if (found.lease != 0) found.lease = lease;
    co_return found;
}

Task<void> RedisCache::put(std::string_view key, std::string value, milliseconds ttl) {
    std::string name(key);
    std::vector<std::string> content;
    if (ttl > milliseconds(0) && value.size() <= largest_value) {
        content.push_back(value_mark + std::move(value));
        content.push_back(std::to_string(ttl.count()));
    }
    co_await state_->write(std::move(name), std::move(content));
}

Task<void> RedisCache::erase(std::string_view key) {
    std::string name(key);
    std::vector<std::string> nothing;
    co_await state_->write(std::move(name), std::move(nothing));
}

Task<void> RedisCache::fill(
    std::string_view key, std::uint64_t lease, std::string value, milliseconds ttl
) {
    if (ttl <= milliseconds(0) || value.size() > largest_value) co_return;
    std::vector<std::string> content;
    content.push_back(std::to_string(lease));
    content.push_back(value_mark + std::move(value));
    content.push_back(std::to_string(ttl.count()));
    co_await run_script(*state_->link, fill_script(), state_->full(key), std::move(content));
}

Task<void> RedisCache::abandon(std::string_view key, std::uint64_t lease) {
    std::vector<std::string> content;
    content.push_back(std::to_string(lease));
    co_await run_script(*state_->link, fill_script(), state_->full(key), std::move(content));
}

}  // namespace souk::cache
