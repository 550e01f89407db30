// The bus over RabbitMQ when queues are lost, processes stand by, and the unexpected is thrown.
#include "contract/rabbitmq_world.hpp"
#include "events/rabbitmq/cloud_event.hpp"
#include "events/rabbitmq/link.hpp"
#include "souk/failpoint.hpp"
#include "support/result_text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace souk;
using namespace souk::test;
using events::rabbitmq::Connection;
using events::rabbitmq::Link;
using events::rabbitmq::LinkHooks;
using events::rabbitmq::Outgoing;

namespace {

constexpr std::uint16_t channel = 7;
using Versions = std::vector<std::int64_t>;

/// A stranger at the same broker.
std::unique_ptr<Connection> stranger() {
    auto connection = std::make_unique<Connection>(broker());
    connection->open_channel(channel);
    connection->select_confirms(channel);
    return connection;
}

void furnish(BusWorld& world, Reaction reaction = {}) {
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, std::move(reaction));
}

std::int64_t unsent(BusWorld& world) {
    return world.number("order", "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL");
}

struct Armed {
    Armed(const char* name, const char* action) : name(name) { failpoint::arm(name, action); }
    ~Armed() { failpoint::arm(name, "off"); }
    const char* name;
};

Task<void> stop_and_tell(events::EventBus& bus, Deadline deadline, bool& stopped) {
    co_await bus.stop(deadline);
    stopped = true;
}

Task<Result<void>> take_note(Transaction&, const Event&) {
    co_return Result<void>();
}

Task<Result<void>> call(Link& link, std::function<Result<void>(Connection&)> work) {
    return link.call<void>(std::move(work));
}

}  // namespace

TEST_CASE("rabbitmq: what a listener's queue lost is sent to it again") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.consumer("notification", {"order.placed"});
    world.start();
    world.append("order", "ord_1", 1);
    world.drain();
    world.database("payment").away = true;
    for (int version = 2; version <= 5; ++version)
        world.append("order", "ord_1", version);
    world.bus().wake();
    world.until([&] { return unsent(world) == 0 && world.effect_count("notification") == 5; });
    Operator().delete_queue(world.name() + ".payment");
    const char* const in_hand = "rabbitmq_unacknowledged_events{consumer=\"payment\"}";
    world.until([&] { return world.metric(in_hand) == 0; });
    world.database("payment").away = false;
    world.until([&] { return world.effect_count("payment") == 5; });
    CHECK(world.versions("payment", "ord_1") == Versions{1, 2, 3, 4, 5});
    world.drain();
    CHECK(world.versions("notification", "ord_1") == Versions{1, 2, 3, 4, 5});
}

TEST_CASE("rabbitmq: what one listener's queue missed while it was absent is sent to it") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.consumer("notification", {"order.placed"});
    auto relaying = world.kind().make(world);  // the listeners are elsewhere
    relaying->add_publisher("order", world.database("order"));
    world.run(relaying->start()).value();
    world.append("order", "ord_1", 1);
    world.until([&] { return unsent(world) == 0; });
    Operator().delete_queue(world.name() + ".payment");
    world.append("order", "ord_1", 2);
    relaying->wake();
    world.until([&] { return unsent(world) == 0; });  // a queue took it

    auto listening = world.kind().make(world);
    std::vector<Subscription> subscriptions;
    subscriptions.emplace_back("order.placed", take_note);
    listening->add_consumer("payment", world.database("payment"), std::move(subscriptions));
    world.run(listening->start()).value();
    world.until([&] { return world.number("payment", "SELECT COUNT(*) FROM inbox") == 2; });
}

TEST_CASE("rabbitmq: who has long stood by knows at the takeover what was parked just before") {
    BusWorld world(rabbitmq_kind());
    bool refusing = true;
    furnish(world, [&](const Event& event) -> Result<void> {
        if (refusing && event.version == 1) return conflict("refused", "by the test");
        return Result<void>();
    });
    auto active = world.started(world.another_process());
    auto passive = world.started();
    const SteadyTime begin = world.clock.steady();
    world.until([&] { return world.clock.steady() - begin >= seconds(4); });
    const auto parked = [&] { return world.number("payment", "SELECT COUNT(*) FROM bus_parked"); };
    // From here on no time passes: the passive one has no reason to look.
    const auto wait_until = [&](const std::function<bool()>& holds) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!holds() && std::chrono::steady_clock::now() < end)
            world.io.run_one_for(std::chrono::milliseconds(5));
        REQUIRE(holds());
    };
    auto connection = stranger();
    const auto send = [&](std::int64_t version) {
        Event event("order.placed", "ord_1", version, "{}");
        event.id = "evt_" + std::to_string(version);
        event.time = world.clock.now();
        Outgoing message;
        message.routing_key = world.name() + ".payment";
        message.message_id = event.id;
        message.content_type = events::rabbitmq::cloud_event_type;
        message.body = events::rabbitmq::to_cloud_event(event);
        std::vector<Outgoing> one;
        one.push_back(std::move(message));
        REQUIRE(connection->publish(channel, one).front() == events::rabbitmq::Verdict::confirmed);
    };
    send(1);
    wait_until([&] { return parked() == 1; });
    wait_until([&] {
        return world.metric("rabbitmq_unacknowledged_events{consumer=\"payment\"}") == 0;
    });
    active.reset();
    send(2);
    wait_until([&] { return parked() == 2 || world.effect_count("payment") > 0; });
    refusing = false;
    world.until([&] { return world.effect_count("payment") == 2; });
    CHECK(world.versions("payment", "ord_1") == Versions{1, 2});
}

TEST_CASE("rabbitmq: whatever is thrown on a link's thread costs the connection only") {
    BusWorld world(rabbitmq_kind());
    {
        LinkHooks hooks;
        hooks.connected = [](Connection&) { throw std::runtime_error("a broken hook"); };
        Link link("test", broker(), std::move(hooks));
        const Result<void> opened = world.run(link.open());
        REQUIRE(opened.has_error());
        CHECK_THAT(opened.error().detail, Catch::Contains("a broken hook"));
    }
    Link link("test", broker(), LinkHooks());
    REQUIRE(world.run(link.open()));
    const std::function<Result<void>(Connection&)> broken = [](Connection&) -> Result<void> {
        throw std::length_error("a broken job");
    };
    const Result<void> answer = world.run(call(link, broken));
    REQUIRE(answer.has_error());
    CHECK_THAT(answer.error().detail, Catch::Contains("a broken job"));
    const std::function<Result<void>(Connection&)> sound = [](Connection&) {
        return Result<void>();
    };
    // The answer may come before the link is down: what is asked at once still meets its end.
    world.until([&] { return world.run(call(link, sound)).has_value(); });
}

TEST_CASE("rabbitmq: a bus that has ended leaves nothing behind") {
    const bool in_good_order = GENERATE(true, false);
    auto token = std::make_shared<int>(0);
    BusWorld world(rabbitmq_kind());
    furnish(world, [token](const Event&) { return Result<void>(); });
    const auto before = token.use_count();
    world.start();
    world.append("order", "ord_1", 1);
    world.drain();
    CHECK(token.use_count() > before);
    if (in_good_order) world.stop();
    world.crash();
    CHECK(token.use_count() == before);
}

TEST_CASE("rabbitmq: a relay that stands by asks little of its database") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    auto active = world.started();
    Databases& drivers = world.another_process();
    auto passive = world.started(drivers);
    Armed busy("rabbitmq.after_confirm_before_mark", "error");
    world.append_many("order", 300, 10);
    active->wake();
    world.until([&] { return world.effect_count("payment") > 0; });
    const ProbedDatabase& asked = *drivers.at("order");
    // Refused once more, however long that took to reach the broker and the database.
    const int before = asked.transactions;
    world.until([&] { return asked.transactions > before && asked.under_way == 0; });
    const int refused = asked.queries + asked.transactions;
    // No time passes: each wake is a notification of what the other process relays already.
    for (int wakes = 0; wakes < 200; ++wakes) {
        passive->wake();
        do
            world.io.run_for(std::chrono::milliseconds(1));
        while (asked.under_way > 0);
    }
    CHECK(unsent(world) == 300);
    CHECK(asked.queries + asked.transactions - refused <= 2);
}

TEST_CASE("rabbitmq: more dead letters than are listed are told") {
    BusWorld world(rabbitmq_kind());
    furnish(world);
    world.start();
    std::vector<Outgoing> letters(1001);
    for (std::size_t i = 0; i < letters.size(); ++i) {
        letters[i].routing_key = world.name() + ".payment.dead";
        letters[i].message_id = "bad_" + std::to_string(i);
        letters[i].body = "not json";
    }
    stranger()->publish(channel, letters);
    CHECK(world.run(world.bus().dead_letters()).value().size() == 1000);
    const auto beyond = world.run(world.bus().drop_dead("payment", "bad_1000"));
    REQUIRE(beyond.has_error());
    CHECK_THAT(beyond.error().detail, Catch::Contains("there are more"));
    CHECK(world.run(world.bus().drop_dead("payment", "bad_0")));
    CHECK(world.run(world.bus().drop_dead("payment", "bad_1000")));
}

TEST_CASE("rabbitmq: what did not finish before the stop begins nothing in the database after it") {
    // Caught where more is to follow: the relay as it renews its lease, before it reads what to
    // send; the consumer in a batch that fails, before it tries them one by one and parks them.
    const std::string module = GENERATE(as<std::string>(), "order", "payment");
    BusWorld world(rabbitmq_kind());
    bool refusing = false;
    furnish(world, [&](const Event&) -> Result<void> {
        if (refusing) return conflict("refused", "by the test");
        return Result<void>();
    });
    world.start();
    world.append_many("order", 20, 10);
    world.drain();
    ProbedDatabase& database = world.database(module);
    refusing = true;
    world.append_many("order", 20, 10, 20);
    database.stuck = true;
    const int before = database.transactions;
    if (module == "order") world.clock.advance(seconds(11));
    world.bus().wake();
    world.until([&] { return database.transactions > before; });
    bool stopped = false;
    asio::co_spawn(
        world.io,
        stop_and_tell(world.bus(), Deadline(world.clock, seconds(1)), stopped),
        asio::detached
    );
    world.until([&] { return stopped; });
    const int asked = database.transactions + database.queries;
    database.stuck = false;
    world.until([&] { return database.under_way == 0; });
    world.crash();
    CHECK(database.transactions + database.queries == asked);
}
