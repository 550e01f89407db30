// The bus over a real broker and PostgreSQL in a BusWorld: each world has a prefix of its own, so
// its exchange and queues are its own, and each module a schema. The clock stays the test's; the
// broker's threads and what the databases' driver waits for are real.
#pragma once

#include "base/system_clock.hpp"
#include "contract/bus_world.hpp"
#include "database/postgres/postgres_database.hpp"
#include "events/rabbitmq/connection.hpp"
#include "events/rabbitmq/rabbitmq_bus.hpp"
#include "support/database_fixture.hpp"
#include "support/services.hpp"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <catch2/catch.hpp>

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

inline events::rabbitmq::Address broker() {
    return events::rabbitmq::parse_address(Services::shared().rabbitmq_url()).value();
}

/// An operator's connection, past all that souk's own does, with a channel 1.
class Operator {
public:
    Operator() : handle_(amqp_new_connection()) {
        const auto address = broker();
        amqp_socket_t* socket = amqp_tcp_socket_new(handle_);
        REQUIRE(amqp_socket_open(socket, address.host.c_str(), address.port) == 0);
        amqp_login(
            handle_,
            address.vhost.c_str(),
            0,
            131'072,
            0,
            AMQP_SASL_METHOD_PLAIN,
            address.user.c_str(),
            address.password.c_str()
        );
        amqp_channel_open(handle_, 1);
    }
    ~Operator() {
        amqp_connection_close(handle_, AMQP_REPLY_SUCCESS);
        amqp_destroy_connection(handle_);
    }
    Operator(const Operator&) = delete;
    Operator& operator=(const Operator&) = delete;

    void delete_queue(const std::string& queue) {
        amqp_queue_delete(handle_, 1, amqp_cstring_bytes(queue.c_str()), 0, 0);
        REQUIRE(amqp_get_rpc_reply(handle_).reply_type == AMQP_RESPONSE_NORMAL);
    }
    void unbind(const std::string& queue, const std::string& exchange, const std::string& key) {
        const auto bytes = [](const std::string& text) { return amqp_cstring_bytes(text.c_str()); };
        amqp_queue_unbind(handle_, 1, bytes(queue), bytes(exchange), bytes(key), amqp_empty_table);
        REQUIRE(amqp_get_rpc_reply(handle_).reply_type == AMQP_RESPONSE_NORMAL);
    }

private:
    amqp_connection_state_t handle_;
};

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
