#include "host/diagnosis_servers.hpp"

#include "cache/redis/link.hpp"
#include "database/migrate.hpp"
#include "database/postgres/postgres_database.hpp"
#include "host/server_url.hpp"
#include "host/storage.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace souk::host {
namespace {

constexpr seconds patience{10};
constexpr seconds skew_noticed{1};
// Less than a relay's lease of 5 s (events/rabbitmq/rabbitmq_bus.hpp), which a clock that is wrong
// by as much would take over while it is held.
constexpr seconds skew_harmful{3};

database::PostgresOptions options_for(
    const Config& config, std::string_view key, const ModuleInfo& module
) {
    database::PostgresOptions options;
    options.url = for_module(config.text(key), module.name);
    options.password_file = for_module(config.text("postgres.password_file"), module.name);
    options.connect_timeout = config.duration("postgres.connect_timeout");
    options.statement_timeout = config.duration("postgres.statement_timeout");
    return options;
}

Check judge_primary(
    std::string name,
    const database::PostgresState& state,
    const std::string& server,
    const Config& config
) {
    if (state.replica)
        return Check(
            std::move(name),
            Verdict::fail,
            fmt::format("{} is a replica and takes no writes", server),
            "name the primary in postgres.url, the replica in postgres.replica_url"
        );
    if (!state.may_create)
        return Check(
            std::move(name),
            Verdict::fail,
            fmt::format("the role may not create tables at {}", server),
            "as its superuser: ALTER DATABASE ... OWNER TO the role, or GRANT CREATE ON SCHEMA"
        );
    if (state.connection_limit < config.integer("postgres.connections"))
        return Check(
            std::move(name),
            Verdict::warn,
            fmt::format(
                "{} takes {} connections, fewer than postgres.connections of one process",
                server,
                state.connection_limit
            ),
            "raise max_connections there, or lower postgres.connections here"
        );
    return Check(
        std::move(name), Verdict::ok, fmt::format("PostgreSQL {} at {}", state.version, server)
    );
}

Task<Check> check_replica(
    const Config& config,
    const ModuleInfo& module,
    Executor executor,
    Clock& clock,
    Metrics& metrics
) {
    std::string name = fmt::format("replica {}", module.name);
    const std::string server = server_of(config.text("postgres.replica_url"));
    auto options = options_for(config, "postgres.replica_url", module);
    auto opened = co_await database::open_postgres(std::move(options), executor, clock, metrics);
    if (!opened)
        co_return Check(
            std::move(name),
            Verdict::fail,
            opened.error().detail,
            look_at(config, "postgres.replica_url")
        );
    const Deadline deadline(clock, patience);
    auto state = co_await database::postgres_state(**opened, deadline);
    if (!state) co_return Check(std::move(name), Verdict::fail, state.error().detail);
    if (!state->replica)
        co_return Check(
            std::move(name),
            Verdict::warn,
            fmt::format("{} is no replica, but takes writes", server),
            "name a replica of postgres.url there, or unset postgres.replica_url"
        );
    co_return Check(
        std::move(name), Verdict::ok, fmt::format("PostgreSQL {} at {}", state->version, server)
    );
}

/// "redis_version:7.0.15\r\n" → "7.0.15".
std::string line_of(const std::string& info, const std::string& key) {
    const std::size_t at = info.find('\n' + key + ':');
    if (at == std::string::npos) return {};
    const std::size_t begin = at + key.size() + 2;
    return info.substr(begin, info.find_first_of("\r\n", begin) - begin);
}

cache::LinkOptions link_options(const Config& config, cache::RedisAddress address) {
    cache::LinkOptions options;
    options.address = std::move(address);
    options.password_file = config.text("redis.password_file");
    options.ca_file = config.text("redis.ca_file");
    options.timeout = std::max<milliseconds>(config.duration("redis.timeout"), seconds(2));
    options.name = "souk-doctor";
    return options;
}

/// What the shop does there, on a key of its own.
Task<Check> check_redis_rights(cache::Link& link, const Config& config) {
    const std::string key = config.text("redis.prefix") + "doctor";
    const std::vector<std::vector<std::string_view>> commands = {
        {"SET", key, "1", "PX", "1000"},
        {"GET", key},
        {"EVAL", "return redis.call('GET', KEYS[1])", "1", key},
        {"PUBLISH", key, "1"},
    };
    for (const auto& words : commands) {
        std::string command = cache::format_command(words);
        const cache::Reply reply = co_await link.call(std::move(command));
        if (reply.kind != cache::Reply::Kind::error && reply.kind != cache::Reply::Kind::away)
            continue;
        const std::string said = reply.text.empty() ? "no answer" : reply.text;
        co_return Check(
            "redis rights",
            Verdict::fail,
            fmt::format("{} is refused: {}", words.front(), said),
            "give the user the rights that src/cache/README.md lists (ACL SETUSER)"
        );
    }
    co_return Check("redis rights", Verdict::ok, "reads, writes, scripts, messages");
}

Task<Checks> check_server(cache::Link& link, const Config& config) {
    Checks found;
    const std::string server = server_of(config.text("redis.url"));
    std::string command = cache::format_command({"INFO"});
    const cache::Reply info = co_await link.call(std::move(command));
    const std::string version = line_of(info.text, "redis_version");
    if (version.empty()) {
        found.emplace_back("redis", Verdict::ok, fmt::format("answers at {}", server));
    } else {
        found.emplace_back("redis", Verdict::ok, fmt::format("Redis {} at {}", version, server));
        found.push_back(
            judge_eviction(line_of(info.text, "maxmemory_policy"), line_of(info.text, "maxmemory"))
        );
    }
    found.push_back(co_await check_redis_rights(link, config));
    co_return found;
}

}  // namespace

std::string look_at(const Config& config, std::string_view key) {
    return fmt::format("{} was set by {}", key, config.values().find(key)->second.origin);
}

Check judge_schema(std::string name, const database::SchemaState& schema) {
    const bool lost =
        std::any_of(schema.unknown.begin(), schema.unknown.end(), database::contracts);
    if (lost)
        return Check(
            std::move(name),
            Verdict::fail,
            fmt::format("has migrations of a newer version: {}", fmt::join(schema.unknown, ", ")),
            "run the version that wrote them, or restore a backup from before"
        );
    if (!schema.changed.empty())
        return Check(
            std::move(name),
            Verdict::fail,
            fmt::format("these were changed after they ran: {}", fmt::join(schema.changed, ", ")),
            "restore their text, and put the change into a new migration"
        );
    if (!schema.unknown.empty())
        return Check(
            std::move(name),
            Verdict::warn,
            fmt::format("has migrations of a newer version: {}", fmt::join(schema.unknown, ", ")),
            "this version works beside them; finish the update"
        );
    if (!schema.missing.empty())
        return Check(
            std::move(name),
            Verdict::ok,
            fmt::format(
                "{} migrations to come at the next start: {}",
                schema.missing.size(),
                fmt::join(schema.missing, ", ")
            )
        );
    return Check(std::move(name), Verdict::ok, "up to date");
}

Check judge_clock(Timestamp from, Timestamp server, Timestamp to) {
    microseconds skew{0};
    if (server < from) skew = from - server;
    if (server > to) skew = server - to;
    const auto ms = std::chrono::duration_cast<milliseconds>(skew).count();
    if (skew < skew_noticed)
        return Check("clock", Verdict::ok, "agrees with PostgreSQL's within a second");
    return Check(
        "clock",
        skew < skew_harmful ? Verdict::warn : Verdict::fail,
        fmt::format(
            "is {} ms {} PostgreSQL's: leases go by it, so work moves between replicas too early "
            "or too late and may be done twice (duplicates are absorbed)",
            ms,
            server > to ? "behind" : "ahead of"
        ),
        "let a time service (chrony, systemd-timesyncd) set the clocks of both machines"
    );
}

Check judge_eviction(const std::string& policy, const std::string& limit) {
    if (policy != "noeviction")
        return Check("redis memory", Verdict::ok, fmt::format("when full: {}", policy));
    const bool unlimited = limit == "0" || limit.empty();
    return Check(
        "redis memory",
        Verdict::warn,
        unlimited ? "it may grow until the machine has no more, and then refuses writes"
                  : fmt::format("with {} bytes it is full and refuses writes", limit),
        "set maxmemory and maxmemory-policy allkeys-lru in redis.conf"
    );
}

Checks check_postgres_urls(const Config& config, std::size_t modules) {
    Checks found;
    if (modules < 2) return found;
    for (const char* key : {"postgres.url", "postgres.replica_url"}) {
        const std::string& url = config.text(key);
        if (url.empty() || for_module(url, "a") != for_module(url, "b")) continue;
        found.emplace_back(
            key,
            Verdict::fail,
            fmt::format("names one database for {} modules, each of which has its own", modules),
            "put {module} where their names differ: postgresql://souk_{module}@host/souk_{module}"
        );
    }
    return found;
}

Task<Checks> check_postgres(
    const Config& config,
    const ModuleInfo& module,
    Executor executor,
    Clock& clock,
    Metrics& metrics
) {
    Checks found;
    std::string name = fmt::format("database {}", module.name);
    auto options = options_for(config, "postgres.url", module);
    auto opened = co_await database::open_postgres(std::move(options), executor, clock, metrics);
    if (!opened) {
        found.emplace_back(
            std::move(name), Verdict::fail, opened.error().detail, look_at(config, "postgres.url")
        );
        co_return found;
    }
    const Deadline deadline(clock, patience);
    const Timestamp from = clock.now();
    auto state = co_await database::postgres_state(**opened, deadline);
    const Timestamp to = clock.now();
    if (!state) {
        found.emplace_back(std::move(name), Verdict::fail, state.error().detail);
        co_return found;
    }
    found.push_back(
        judge_primary(std::move(name), *state, server_of(config.text("postgres.url")), config)
    );
    std::string schema_name = fmt::format("schema {}", module.name);
    auto schema = co_await database::schema_state(**opened, module.migrations, deadline);
    if (schema)
        found.push_back(judge_schema(std::move(schema_name), *schema));
    else
        found.emplace_back(std::move(schema_name), Verdict::fail, schema.error().detail);
    if (Check skew = judge_clock(from, state->now, to); skew.verdict != Verdict::ok) {
        skew.name = fmt::format("clock {}", module.name);
        found.push_back(std::move(skew));
    }
    if (config.text("postgres.replica_url").empty()) co_return found;
    found.push_back(co_await check_replica(config, module, executor, clock, metrics));
    co_return found;
}

Task<Checks> check_redis(const Config& config, Executor executor, Clock& clock, Metrics& metrics) {
    Checks found;
    auto address = cache::parse_redis_url(config.text("redis.url"));
    if (!address) {
        found.emplace_back(
            "redis", Verdict::fail, address.error().detail, look_at(config, "redis.url")
        );
        co_return found;
    }
    auto options = link_options(config, std::move(*address));
    cache::LinkMetrics link_metrics(metrics);
    cache::LinkEvents nothing;
    auto link = std::make_shared<cache::Link>(
        executor, clock, std::move(link_metrics), std::move(options), std::move(nothing)
    );
    auto opened = co_await link->open();
    const std::string fault = opened ? link->fault() : opened.error().detail;
    if (fault.empty())
        found = co_await check_server(*link, config);
    else
        found.emplace_back("redis", Verdict::fail, fault, look_at(config, "redis.url"));
    link->close();
    co_return found;
}

}  // namespace souk::host
