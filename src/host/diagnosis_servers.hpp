// The part of the diagnosis that talks to PostgreSQL, Redis and RabbitMQ.
#pragma once

#include "database/inspection.hpp"
#include "host/diagnosis.hpp"

namespace souk::host {

using Checks = std::vector<Check>;

/// Whether the addresses lead each module to a database of its own; empty when they do.
Checks check_postgres_urls(const Config& config, std::size_t modules);
/// The database of one module and its replica.
Task<Checks> check_postgres(
    const Config& config,
    const ModuleInfo& module,
    Executor executor,
    Clock& clock,
    Metrics& metrics
);
Task<Checks> check_redis(const Config& config, Executor executor, Clock& clock, Metrics& metrics);
/// The exchange and the queues are those of `modules`.
Task<Checks> check_rabbitmq(const Config& config, std::vector<const ModuleInfo*> modules);

/// Where the setting at fault was made.
std::string look_at(const Config& config, std::string_view key);

/// What to say of a schema in that state.
Check judge_schema(std::string name, const database::SchemaState& schema);

/// What to say of a server whose clock showed `server` when this machine's showed `from` before and
/// `to` after it was asked.
Check judge_clock(Timestamp from, Timestamp server, Timestamp to);

/// What to say of a Redis that throws away what does not fit, or does not, by `policy`.
Check judge_eviction(const std::string& policy, const std::string& limit);

}  // namespace souk::host
