// The bus over a real broker and PostgreSQL in a BusWorld: each world has a prefix of its own, so
// its exchange and queues are its own, and each module a schema. The clock stays the test's; the
// broker's threads and what the databases' driver waits for are real.
#pragma once

#include "base/system_clock.hpp"
#include "contract/bus_world.hpp"
#include "database/postgres/postgres_database.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"
#include "support/database_fixture.hpp"
#include "support/services.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace souk::test {

/// A schema a module, for any number of processes.
class PostgresStorage final : public Storage {
public:
    explicit PostgresStorage(const Clock& time) : time_(time) {}

    Task<Result<std::unique_ptr<Database>>> open(std::string module) override {
        std::string& url = urls_[module];
        if (url.empty()) url = Services::shared().fresh_schema();
        database::PostgresOptions options;
        options.url = url;
        options.transactions = 2;
        return database::open_postgres(std::move(options), home_.executor(), time_, *metrics_);
    }

private:
    /// Deadlines are the test's, yet nobody advances its clock for the driver's own waits, which
    /// are no sleepers of the world's.
    class DriverTime final : public Clock {
    public:
        explicit DriverTime(const Clock& time) : time_(time) {}
        Timestamp now() const override { return time_.now(); }
        SteadyTime steady() const override { return time_.steady(); }
        Task<bool> sleep(microseconds duration) override {
            return base::system_clock().sleep(duration);
        }

    private:
        const Clock& time_;
    };

    DriverTime time_;
    std::unique_ptr<Metrics> metrics_ = observe::make_metrics();
    std::map<std::string, std::string> urls_;
    Home home_;  // the last: it ends when the drivers have closed
};

/// Of all modules that listen in `world`.
inline events::RabbitMqOptions rabbitmq_options(const BusWorld& world, std::string url) {
    events::RabbitMqOptions options;
    options.url = std::move(url);
    options.prefix = world.name();
    for (const auto& [module, types] : world.listeners())
        options.listeners.emplace_back(module, types);
    return options;
}

/// Whether all that the broker could bring has arrived. What lies in a queue stays there as long as
/// its consumer has its hands full.
inline bool broker_at_rest(BusWorld& world) {
    (void)world.run(world.bus().idle());  // looks at the queues
    for (const auto& [module, types] : world.listeners()) {
        const std::string label = "{consumer=\"" + module + "\"}";
        const double ready = world.metric("rabbitmq_ready_events" + label);
        const double in_hand = world.metric("rabbitmq_unacknowledged_events" + label);
        if (ready > 0 && in_hand < 256) return false;
    }
    return true;
}

inline BusWorld::Kind rabbitmq_kind() {
    BusWorld::Kind kind{};
    kind.make = [](BusWorld& world) {
        std::string url = Services::shared().rabbitmq_url();
        return events::make_rabbitmq_bus(
            world.io.get_executor(),
            world.clock,
            *world.metrics,
            rabbitmq_options(world, std::move(url))
        );
    };
    kind.storage = [](BusWorld& world) -> std::unique_ptr<Storage> {
        return std::make_unique<PostgresStorage>(world.clock);
    };
    kind.loops = [](const BusWorld& world) {
        return world.publishers().size() + world.listeners().size() + 1;
    };
    kind.nothing_under_way = broker_at_rest;
    kind.commits_for_10_000 = 1500;  // it arrives as the network brings it
    return kind;
}

}  // namespace souk::test
