#include "host/backends.hpp"

#include "cache/memory.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"
#include "souk/pace.hpp"

namespace souk::host {
namespace {

constexpr std::size_t rate_keys = 100'000;
// What an order's mail is later for it at most, a step of its way, when the shop is busy.
constexpr milliseconds gather{10};

std::unique_ptr<events::EventBus> make_embedded(
    const Config& config, Executor executor, Clock& clock, Metrics& metrics
) {
    events::EmbeddedBusOptions options;
    options.batch = static_cast<std::size_t>(config.integer("bus.batch"));
    options.max_attempts = static_cast<int>(config.integer("bus.max_attempts"));
    options.poll = config.duration("bus.poll");
    options.gather = gather;
    return events::make_embedded_bus(executor, clock, metrics, options);
}

std::vector<events::Listener> listeners(const std::vector<const ModuleInfo*>& all) {
    std::vector<events::Listener> out;
    for (const ModuleInfo* info : all) {
        std::vector<std::string> types(info->listens.begin(), info->listens.end());
        if (!types.empty()) out.emplace_back(std::string(info->name), std::move(types));
    }
    return out;
}

}  // namespace

Task<Result<std::unique_ptr<Caches>>> open_caches(
    const Config& config, Executor home, Clock& clock, Metrics& metrics
) {
    const auto bytes = static_cast<std::size_t>(config.integer("cache.max_bytes"));
    if (config.text("redis.url").empty())
        co_return std::make_unique<Caches>(
            cache::make_memory_cache(clock, bytes),
            cache::make_memory_rate_limiter(clock, rate_keys)
        );
    cache::RedisOptions options;
    options.url = config.text("redis.url");
    options.password_file = config.text("redis.password_file");
    options.ca_file = config.text("redis.ca_file");
    options.prefix = config.text("redis.prefix");
    options.timeout = config.duration("redis.timeout");
    options.tier_bytes = bytes;
    auto opened = co_await cache::open_redis(std::move(options), home, clock, metrics);
    if (!opened) co_return opened.error();
    co_return std::make_unique<Caches>(std::move(*opened));
}

std::unique_ptr<events::EventBus> make_bus(
    const Config& config,
    const std::vector<const ModuleInfo*>& all,
    Executor executor,
    Clock& clock,
    Metrics& metrics
) {
    if (config.text("rabbitmq.url").empty()) return make_embedded(config, executor, clock, metrics);
    events::RabbitMqOptions options;
    options.url = config.text("rabbitmq.url");
    options.password_file = config.text("rabbitmq.password_file");
    options.ca_file = config.text("rabbitmq.ca_file");
    options.prefix = config.text("rabbitmq.prefix");
    options.listeners = listeners(all);
    options.batch = static_cast<std::size_t>(config.integer("bus.batch"));
    options.max_attempts = static_cast<int>(config.integer("bus.max_attempts"));
    options.poll = config.duration("rabbitmq.poll");
    options.gather = usual_pace;
    return events::make_rabbitmq_bus(executor, clock, metrics, std::move(options));
}

}  // namespace souk::host
