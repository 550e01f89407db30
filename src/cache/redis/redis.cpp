#include "cache/redis/redis.hpp"

#include "cache/redis/redis_cache.hpp"
#include "cache/redis/redis_limiter.hpp"

namespace souk::cache {
namespace {

class OpenRedis final : public Redis {
public:
    OpenRedis(
        const RedisOptions& options,
        RedisAddress address,
        Executor home,
        Clock& clock,
        Metrics& metrics
    )
        : cache_(clock, metrics, options.prefix, options.tier_bytes, home)
        , limiter_(clock, options.prefix) {
        LinkOptions link;
        link.address = std::move(address);
        link.password_file = options.password_file;
        link.ca_file = options.ca_file;
        link.timeout = options.timeout;
        link.name = "souk";
        const LinkMetrics counters(metrics);
        commands_ = std::make_shared<Link>(home, clock, counters, link, connected(metrics));
        link.name = "souk-cache-written";
        link.channel = cache_.channel();
        channel_ =
            std::make_shared<Link>(home, clock, counters, std::move(link), cache_.channel_events());
        cache_.use(commands_);
        limiter_.use(commands_);
    }

    ~OpenRedis() override {
        commands_->close();
        channel_->close();
    }

    Task<Result<void>> open() {
        auto opened = co_await commands_->open();
        if (!opened) co_return opened;
        co_return co_await channel_->open();
    }

    Cache& cache() override { return cache_; }
    RateLimiter& limiter() override { return limiter_; }
    std::string fault() const override {
        std::string fault = commands_->fault();
        return fault.empty() ? channel_->fault() : fault;
    }

private:
    static LinkEvents connected(Metrics& metrics) {
        Gauge& gauge = metrics.gauge("redis_connected", "1 while commands reach Redis");
        gauge.set(0);
        LinkEvents events;
        events.on_up = [&gauge] { gauge.set(1); };
        events.on_down = [&gauge] { gauge.set(0); };
        return events;
    }

    RedisCache cache_;
    RedisLimiter limiter_;
    std::shared_ptr<Link> commands_;
    std::shared_ptr<Link> channel_;
};

}  // namespace

Task<Result<std::unique_ptr<Redis>>> open_redis(
    RedisOptions options, Executor home, Clock& clock, Metrics& metrics
) {
    auto address = parse_redis_url(options.url);
    if (!address) co_return address.error();
    auto redis = std::make_unique<OpenRedis>(options, std::move(*address), home, clock, metrics);
    auto opened = co_await redis->open();
    if (!opened) co_return opened.error();
    co_return std::unique_ptr<Redis>(std::move(redis));
}

}  // namespace souk::cache
