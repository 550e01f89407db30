// What the bus over RabbitMQ promises beside bus_contract.cpp: how it meets the broker and other
// processes on the same databases and queues.
#include "contract/rabbitmq_world.hpp"
#include "events/rabbitmq/connection.hpp"
#include "souk/failpoint.hpp"
#include "support/result_text.hpp"
#include "support/temp_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace souk;
using namespace souk::test;
using events::rabbitmq::Connection;
using events::rabbitmq::Outgoing;

namespace {

constexpr std::uint16_t channel = 7;

/// A stranger at the same broker.
std::unique_ptr<Connection> stranger() {
    auto connection = std::make_unique<Connection>(broker());
    connection->open_channel(channel);
    connection->select_confirms(channel);
    return connection;
}

void send(Connection& connection, const std::string& queue, std::string body) {
    Outgoing message;
    message.routing_key = queue;
    message.message_id = body.substr(0, 10);
    message.body = std::move(body);
    std::vector<Outgoing> one;
    one.push_back(std::move(message));
    REQUIRE(connection.publish(channel, one).front() == events::rabbitmq::Verdict::confirmed);
}

void furnish(BusWorld& world, Reaction reaction = {}) {
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, std::move(reaction));
}

constexpr const char* fence_of_relay = "SELECT fence FROM bus_lease WHERE name = 'relay/order'";

std::int64_t unsent(BusWorld& world) {
    return world.number("order", "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL");
}

std::vector<std::int64_t> up_to(std::int64_t n) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 1; i <= n; ++i)
        all.push_back(i);
    return all;
}

struct Armed {
    Armed(const char* name, const char* action) : name(name) { failpoint::arm(name, action); }
    ~Armed() { failpoint::arm(name, "off"); }
    const char* name;
};

Result<void> refuse(const Event&) {
    return conflict("refused", "by the test");
}

Task<void> stop_and_tell(events::EventBus& bus, Deadline deadline, bool& stopped) {
    co_await bus.stop(deadline);
    stopped = true;
}

std::string start_error(BusWorld& world) {
    try {
        world.start();
    } catch (const Failure& failure) {
        return failure.error.detail;
    }
    return "it started";
}

}  // namespace

TEST_CASE("rabbitmq: what no queue took is not marked sent, and the topology is mended") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    world.append("order", "ord_1", 1);
    world.drain();
    Operator().unbind(world.name() + ".payment", world.name() + ".events", "order.placed");
    {
        Armed blind("rabbitmq.before_mending", "error");
        world.append("order", "ord_1", 2);
        world.work();
        world.pass(seconds(30));
        CHECK(unsent(world) == 1);
        CHECK(world.effect_count("payment") == 1);
        CHECK_THAT(world.bus().fault(), Catch::Contains("order.placed"));
    }
    world.pass(seconds(30));
    world.drain();
    CHECK(world.versions("payment", "ord_1") == up_to(2));
    CHECK(unsent(world) == 0);
    CHECK(world.bus().fault().empty());
}

TEST_CASE("rabbitmq: what nobody listens to is sent all the same") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    world.append("order", "ord_1", 1, "ignored");
    world.append("order", "ord_1", 2);
    world.drain();
    CHECK(unsent(world) == 0);
    CHECK(world.effect_count("payment") == 1);
}

TEST_CASE("rabbitmq: an event that was sent and not marked is sent again, to no effect") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.append_many("order", 500, 10);
    for (int crashes = 0; crashes < 3; ++crashes) {
        Armed lost("rabbitmq.after_confirm_before_mark", "error");
        world.start();
        world.work();
        CHECK(unsent(world) == 500);
        world.crash();
        world.clock.advance(seconds(6));  // the lease
    }
    world.start();
    world.drain();
    CHECK(world.effect_count("payment") == 500);
    CHECK(world.distinct_effects("payment") == 500);
    for (int i = 0; i < 10; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(50));
}

TEST_CASE("rabbitmq: an event that was handled and not acknowledged comes again, to no effect") {
    BusWorld world(rabbitmq_kind());
    furnish(world, [](const Event& event) -> Result<void> {
        if (event.version == 3) return conflict("refused", "by the test");
        return Result<void>();
    });
    world.append_many("order", 100, 10);
    for (int crashes = 0; crashes < 3; ++crashes) {
        Armed lost("rabbitmq.after_commit_before_ack", "error");
        world.start();
        world.work();
        CHECK(world.effect_count("payment") <= 20);
        world.crash();
    }
    world.start();
    world.pass(seconds(20));
    world.drain();
    CHECK(world.effect_count("payment") == 90);
    CHECK(world.distinct_effects("payment") == 90);
    CHECK(world.run(world.bus().dead_letters()).value().size() == 10);
}

TEST_CASE("rabbitmq: a burial that was not written down leaves one dead letter") {
    BusWorld world(rabbitmq_kind());
    furnish(world, refuse);
    world.append("order", "ord_1", 1);
    world.start();
    {
        Armed lost("rabbitmq.after_bury_before_delete", "error");
        world.pass(seconds(30));
        CHECK_FALSE(world.idle());
    }
    world.pass(seconds(30));
    CHECK(world.idle());
    auto dead = world.run(world.bus().dead_letters()).value();
    REQUIRE(dead.size() == 1);
    CHECK(world.run(world.bus().drop_dead("payment", dead[0].event.id)));
    CHECK(world.run(world.bus().dead_letters()).value().empty());
    auto again = world.run(world.bus().drop_dead("payment", dead[0].event.id));
    REQUIRE(again.has_error());
    CHECK(again.error().code == "no_dead_letter");
}

TEST_CASE("rabbitmq: what is no event goes to the dead letters and holds nobody up") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    const std::string queue = world.name() + ".payment";
    auto connection = stranger();
    send(*connection, queue, "not json");
    send(*connection, queue, R"({"specversion":"1.0","id":"evt_x"})");
    send(*connection, queue, std::string("\0\xff", 2));
    world.append("order", "ord_1", 1);
    world.drain();
    CHECK(world.effect_count("payment") == 1);
    auto dead = world.run(world.bus().dead_letters()).value();
    REQUIRE(dead.size() == 3);
    CHECK(dead[0].event.data == "not json");
    CHECK_THAT(dead[0].last_error, Catch::Contains("malformed_json"));
    CHECK_THAT(dead[1].last_error, Catch::Contains("validation_failed"));
    for (const auto& letter : dead)
        CHECK(world.run(world.bus().drop_dead("payment", letter.event.id)));
    CHECK(world.run(world.bus().dead_letters()).value().empty());
}

TEST_CASE("rabbitmq: an event is a CloudEvent on the wire") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    auto connection = stranger();
    const std::string queue = world.name() + ".tap";
    connection->declare_queue(channel, queue, {});
    connection->bind(channel, queue, world.name() + ".events", "#");
    world.append("order", "ord_1", 1);
    world.drain();
    auto message = connection->get(channel, queue);
    REQUIRE(message);
    CHECK(message->content_type == "application/cloudevents+json");
    const std::string id = message->message_id;
    CHECK(
        message->body == R"({"specversion":"1.0","id":")" + id +
                             R"(","source":"souk/order","type":"order.placed","subject":"ord_1",)" +
                             R"("time":"2026-01-01T00:00:00.000000Z","aggregateversion":1,)" +
                             R"("datacontenttype":"application/json","data":{}})"
    );
}

TEST_CASE("rabbitmq: a queue declared otherwise is told at the start") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    std::vector<events::rabbitmq::QueueArgument> other;
    other.emplace_back("x-queue-type", "quorum");
    stranger()->declare_queue(channel, world.name() + ".payment", other);
    const std::string words = start_error(world);
    CHECK_THAT(words, Catch::Contains(world.name() + ".payment"));
    CHECK_THAT(words, Catch::Contains("inequivalent arg"));
    CHECK_THAT(words, Catch::Contains("rabbitmqctl delete_queue"));
}

TEST_CASE("rabbitmq: wrong passwords, hosts and virtual hosts are told at the start") {
    static std::string url;
    auto kind = rabbitmq_kind();
    kind.make = [](BusWorld& world) {
        return events::make_rabbitmq_bus(
            world.io.get_executor(), world.clock, *world.metrics, rabbitmq_options(world, url)
        );
    };
    BusWorld world(kind);
    furnish(world);
    const auto address = broker();
    url = "amqp://" + address.user + ":wrong@" + address.text();
    CHECK_THAT(start_error(world), Catch::Contains("ACCESS_REFUSED"));
    CHECK_THAT(start_error(world), !Catch::Contains("wrong"));
    url = "amqp://" + address.user + ":" + address.password + "@" + address.text() + "/nowhere";
    CHECK_THAT(start_error(world), Catch::Contains("nowhere"));
    url = "amqp://a:b@127.0.0.1:1";
    CHECK_THAT(start_error(world), Catch::Contains("cannot connect to RabbitMQ at 127.0.0.1:1"));
    url = "http://127.0.0.1";
    CHECK_THAT(start_error(world), Catch::Contains("amqp[s]://"));
}

TEST_CASE("rabbitmq: two processes together keep the order of every aggregate") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.append_many("order", 1000, 20);
    auto first = world.started();
    auto second = world.started(world.another_process());
    world.until([&] { return world.effect_count("payment") > 300; });
    world.append_many("order", 1000, 20, 1000);
    second->wake();
    world.until([&] { return world.effect_count("payment") == 2000; });
    CHECK(world.distinct_effects("payment") == 2000);
    for (int i = 0; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(100));
}

TEST_CASE("rabbitmq: when a process dies the other one takes over, in order") {
    BusWorld world(rabbitmq_kind());
    int refusals = 0;
    furnish(world, [&](const Event& event) -> Result<void> {
        // Something is parked when the first one dies.
        if (event.aggregate_id == "agg_3" && event.version == 2 && ++refusals <= 2)
            return refuse(event);
        return Result<void>();
    });
    auto first = world.started();
    world.append_many("order", 1000, 20);
    first->wake();
    world.until([&] { return world.effect_count("payment") > 100; });
    auto second = world.started(world.another_process());
    first.reset();
    world.append_many("order", 1000, 20, 1000);
    second->wake();
    world.until([&] { return world.effect_count("payment") == 2000; });
    CHECK(world.distinct_effects("payment") == 2000);
    for (int i = 0; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(100));
}

TEST_CASE("rabbitmq: a relay that is paused past its lease cannot mark what it sent") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    REQUIRE(world.database("order").dialect() == Dialect::postgres);
    Databases& drivers = world.another_process();
    auto paused = world.started(drivers);
    world.append("order", "agg_0", 0);
    world.until([&] { return unsent(world) == 0; });

    // It has sent these when it stands still: it never learns that it may not mark them.
    ProbedDatabase& database = *drivers.at("order");
    const int before = database.transactions;
    database.stuck = true;
    world.append_many("order", 600, 20);
    world.until([&] { return database.transactions > before; });
    CHECK(world.metric("events_published_total{publisher=\"order\"}") == 1 + 256);
    world.clock.advance(seconds(6));
    {
        Armed busy("rabbitmq.after_confirm_before_mark", "error");
        auto successor = world.started();
        world.until([&] { return world.number("order", fence_of_relay) == 2; });
        const int commits = database.commits;
        database.stuck = false;
        world.until([&] { return database.commits > commits; });
        CHECK(unsent(world) == 600);  // the successor has not marked them yet, either

        failpoint::arm("rabbitmq.after_confirm_before_mark", "off");
        world.append_many("order", 400, 20, 600);
        world.until([&] { return unsent(world) == 0 && world.effect_count("payment") == 1001; });
        CHECK(world.number("order", fence_of_relay) == 2);
        CHECK(paused->fault().empty());
    }
    CHECK(world.distinct_effects("payment") == 1001);
    for (int i = 1; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(50));
}

TEST_CASE("rabbitmq: stop returns at its deadline when a database is stuck") {
    const std::string module = GENERATE(as<std::string>(), "order", "payment");
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.append_many("order", 300, 10);
    world.start();
    ProbedDatabase& database = world.database(module);
    const int before = database.transactions;
    database.stuck = true;
    world.bus().wake();
    world.until([&] { return database.transactions > before; });

    const SteadyTime asked = world.clock.steady();
    bool stopped = false;
    asio::co_spawn(
        world.io,
        stop_and_tell(world.bus(), Deadline(world.clock, seconds(5)), stopped),
        asio::detached
    );
    world.until([&] { return stopped; });
    const microseconds waited = world.clock.steady() - asked;
    CHECK(waited >= seconds(5));
    CHECK(waited < milliseconds(5100));
    CHECK(database.under_way == 1);

    database.stuck = false;
    world.until([&] { return database.under_way == 0; });
    world.crash();
    world.clock.advance(seconds(6));  // the lease that was not given back
    world.start();
    world.drain();
    CHECK(world.distinct_effects("payment") == 300);
    CHECK(world.effect_count("payment") == 300);
}

TEST_CASE("rabbitmq: who stops in good order lets the next one in at once") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    world.append("order", "ord_1", 1);
    world.drain();
    world.stop();
    CHECK(world.number("order", "SELECT expires_at FROM bus_lease") == 0);
    world.append("order", "ord_1", 2);
    world.start();
    world.work();  // no time passes
    CHECK(world.versions("payment", "ord_1") == up_to(2));
}

TEST_CASE("rabbitmq: killed while events flow, it loses and doubles nothing") {
    static std::string url;
    Services own({Server::rabbitmq});
    url = own.rabbitmq_url();
    auto kind = rabbitmq_kind();
    kind.make = [](BusWorld& world) {
        return events::make_rabbitmq_bus(
            world.io.get_executor(), world.clock, *world.metrics, rabbitmq_options(world, url)
        );
    };
    BusWorld world(kind);
    furnish(world);
    auto bus = world.started();
    CHECK(bus->fault().empty());
    // RabbitMQ 3.10 writes down which quorum queues there are half a second after their birth; one
    // that it forgets in a kill -9 before has no leader ever after.
    std::this_thread::sleep_for(std::chrono::seconds(2));
    int sent = 0;
    for (int kills = 0; kills < 2; ++kills) {
        world.append_many("order", 1000, 20, sent);
        sent += 1000;
        bus->wake();
        world.until([&] { return world.effect_count("payment") > sent - 900; });
        own.kill(Server::rabbitmq);
        world.until([&] { return !bus->fault().empty(); });
        CHECK_THAT(bus->fault(), Catch::Contains("RabbitMQ"));
        world.until([&] { return world.metric("rabbitmq_connected") == 0; });
        own.start(Server::rabbitmq);
        world.until([&] { return world.effect_count("payment") == sent; });
        world.until([&] { return unsent(world) == 0 && bus->fault().empty(); });
    }
    CHECK(world.distinct_effects("payment") == sent);
    for (int i = 0; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(100));
    CHECK(world.metric("rabbitmq_connected") == 1);
}

TEST_CASE("rabbitmq: a password that changes in its file is taken at the next connect") {
    static TempFolder folder;
    static events::rabbitmq::Address address;
    Services own({Server::rabbitmq});
    address = events::rabbitmq::parse_address(own.rabbitmq_url()).value();
    const auto write = [](const std::string& password) {
        std::ofstream(folder.path() / "password") << password << "\n";
    };
    auto kind = rabbitmq_kind();
    kind.make = [](BusWorld& world) {
        auto options = rabbitmq_options(world, "amqp://" + address.user + ":x@" + address.text());
        options.password_file = folder.path() / "password";
        return events::make_rabbitmq_bus(
            world.io.get_executor(), world.clock, *world.metrics, std::move(options)
        );
    };
    BusWorld world(kind);
    furnish(world);
    write("not this one");
    CHECK_THAT(start_error(world), Catch::Contains("ACCESS_REFUSED"));
    write(address.password);
    world.start();
    world.append("order", "ord_1", 1);
    world.drain();
    std::this_thread::sleep_for(std::chrono::seconds(2));  // as above

    write("not that one");
    own.kill(Server::rabbitmq);
    own.start(Server::rabbitmq);
    world.append("order", "ord_1", 2);
    const auto refused = [&] {
        return world.bus().fault().find("ACCESS_REFUSED") != std::string::npos;
    };
    world.until(refused);
    CHECK(unsent(world) == 1);
    CHECK_THAT(world.bus().fault(), !Catch::Contains("not that one"));
    write(address.password);
    world.until([&] { return world.effect_count("payment") == 2 && unsent(world) == 0; });
    CHECK(world.versions("payment", "ord_1") == up_to(2));
}
