#include "cache/redis/redis_limiter.hpp"

#include "cache/memory.hpp"
#include "cache/redis/scripts.hpp"

#include <chrono>

namespace souk::cache {
namespace {

constexpr std::size_t max_local_keys = 100'000;

RateDecision decision_in(const Reply& reply, std::int64_t limit) {
    RateDecision decision;
    decision.limit = limit;
    decision.allowed = reply.items[0].integer == 1;
    decision.remaining = reply.items[1].integer;
    const microseconds wait(reply.items[2].integer);
    decision.reset_s = static_cast<int>(std::chrono::ceil<seconds>(wait).count());
    return decision;
}

}  // namespace

RedisLimiter::RedisLimiter(const Clock& clock, std::string prefix)
    : clock_(clock)
    , prefix_(prefix + "rate:")
    , local_(make_memory_rate_limiter(clock, max_local_keys)) {}

void RedisLimiter::use(std::shared_ptr<Link> link) {
    link_ = std::move(link);
}

Task<Reply> RedisLimiter::ask(
    std::string key, std::int64_t limit, seconds window, std::int64_t ahead
) {
    std::vector<std::string> arguments;
    arguments.push_back(std::to_string(limit));
    arguments.push_back(std::to_string(milliseconds(window).count()));
    arguments.push_back(std::to_string(ahead));
    return run_script(*link_, take_script(), prefix_ + std::move(key), std::move(arguments));
}

Task<RateDecision> RedisLimiter::take(std::string_view key, std::int64_t limit, seconds window) {
    if (limit <= 0 || window <= seconds(0)) co_return co_await local_->take(key, limit, window);
    const SteadyTime asked = clock_.steady();
    if (const auto remaining = purses_.spend(key, limit, asked)) {
        RateDecision decision = co_await local_->take(key, limit, window);
        if (decision.allowed) decision.remaining = *remaining;
        co_return decision;
    }
    const std::int64_t wanted = purses_.wanted(key, asked);
    auto reply = co_await ask(std::string(key), limit, window, wanted);
    if (reply.items.size() != 4) {
        alone_ = clock_.steady();
        co_return co_await local_->take(key, limit, window);
    }
    RateDecision decision = decision_in(reply, limit);
    const std::int64_t ahead = reply.items[3].integer;
    if (wanted > 0) purses_.fill(key, limit, ahead, decision.remaining, asked);
    if (!decision.allowed) co_return decision;
    decision.remaining += ahead;
    const RateDecision here = co_await local_->take(key, limit, window);
    // Redis does not know what was allowed without it, until that has run off.
    const SteadyTime alone = alone_;
    const bool knows_all = alone == SteadyTime::min() || clock_.steady() - alone >= window;
    if (!knows_all && !here.allowed) co_return here;
    co_return decision;
}

}  // namespace souk::cache
