// What every bus promises. A bus is added by its Kind: each test runs on all of them.
#include "contract/bus_world.hpp"
#include "contract/rabbitmq_world.hpp"
#include "souk/failpoint.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <stdexcept>

using namespace souk;
using namespace souk::test;

namespace {

struct Embedded {
    static BusWorld::Kind kind() { return BusWorld::embedded(); }
};
struct OverRabbitMq {
    static BusWorld::Kind kind() { return rabbitmq_kind(); }
};
#define BUSES Embedded, OverRabbitMq

Result<void> refuse(const Event&) {
    return conflict("refused", "by the test");
}

/// Refuses the events of one aggregate until told otherwise; counts how often it was asked.
struct Stubborn {
    explicit Stubborn(std::string aggregate) : aggregate(std::move(aggregate)) {}
    Reaction reaction(std::int64_t version) {
        return [this, version](const Event& event) -> Result<void> {
            if (event.aggregate_id != aggregate || event.version != version) return Result<void>();
            ++asked;
            if (refusing) return refuse(event);
            return Result<void>();
        };
    }
    std::string aggregate;
    int asked = 0;
    bool refusing = true;
};

std::vector<std::int64_t> up_to(std::int64_t n) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 1; i <= n; ++i)
        all.push_back(i);
    return all;
}

/// Disarms a failpoint however the test ends.
struct Armed {
    Armed(const char* name, const char* action) : name(name) { failpoint::arm(name, action); }
    ~Armed() { failpoint::arm(name, "off"); }
    const char* name;
};

}  // namespace

TEMPLATE_TEST_CASE("an event takes effect once at each listener", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed", "order.paid"});
    world.start();
    CHECK(world.idle());

    world.append("order", "ord_1", 1);
    world.append("order", "ord_1", 2, "ignored");
    world.append("order", "ord_1", 3, "paid");
    CHECK_FALSE(world.idle());
    world.drain();
    world.pass(seconds(30));

    CHECK(
        world.effects("payment") ==
        std::vector<std::string>{"order.placed/ord_1/1", "order.paid/ord_1/3"}
    );
    CHECK(world.metric("events_delivered_total{consumer=\"payment\"}") == 2);
}

TEMPLATE_TEST_CASE("what nobody announced is found by the poll", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.start();
    world.append("order", "ord_1", 1);
    world.pass(seconds(2));
    CHECK(world.effect_count("payment") == 1);
}

TEMPLATE_TEST_CASE("what a handler announces waits for no poll", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.publisher("payment");
    world.answering_consumer("payment", "order.placed", "payment.captured");
    world.consumer("order", {"payment.captured"});
    world.start();
    world.append("order", "ord_1", 1);
    world.work();  // no time passes
    CHECK(world.effects("order") == std::vector<std::string>{"payment.captured/ord_1/1"});
}

TEMPLATE_TEST_CASE("an event delivered again takes no second effect", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 100, 10);
    world.start();
    {
        // The consumer has committed, the bus does not learn of it.
        Armed lost("bus.after_consume_before_cursor", "error");
        world.work();
        world.pass(seconds(20));
        CHECK(world.effect_count("payment") == 100);
        CHECK_FALSE(world.idle());
    }
    world.pass(seconds(20));
    world.drain();
    CHECK(world.effect_count("payment") == 100);
    CHECK(world.distinct_effects("payment") == 100);
}

TEMPLATE_TEST_CASE("a crash after the consumer's commit repeats nothing", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 600, 20);
    for (int crashes = 0; crashes < 3; ++crashes) {
        Armed lost("bus.after_consume_before_cursor", "error@2");
        world.start();
        world.work();
        world.crash();
    }
    CHECK(world.effect_count("payment") > 0);
    world.start();
    world.drain();
    CHECK(world.effect_count("payment") == 600);
    for (int i = 0; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(30));
}

TEMPLATE_TEST_CASE("a crash before the consumer's commit loses nothing", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 300, 10);
    {
        Armed broken("bus.before_consume", "error");
        world.start();
        world.work();
        world.pass(seconds(5));
        CHECK(world.effect_count("payment") == 0);
        world.crash();
    }
    world.start();
    world.drain();
    CHECK(world.effect_count("payment") == 300);
    CHECK(world.distinct_effects("payment") == 300);
}

TEMPLATE_TEST_CASE("poison is tried five times and holds nobody else up", "[bus]", BUSES) {
    Stubborn poison("agg_3");
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, poison.reaction(2));
    world.append_many("order", 50, 10);
    world.start();
    world.work();

    // No time has passed: all but the poison and what follows it have taken effect, once.
    CHECK(poison.asked == 1);
    CHECK(world.effect_count("payment") == 46);
    CHECK(world.distinct_effects("payment") == 46);
    CHECK(world.versions("payment", "agg_3") == std::vector<std::int64_t>{1});
    CHECK_FALSE(world.idle());

    // What comes now waits behind it, or goes on, by its aggregate.
    world.append("order", "agg_3", 6);
    world.append("order", "agg_4", 6);
    world.work();
    CHECK(world.versions("payment", "agg_3") == std::vector<std::int64_t>{1});
    CHECK(world.versions("payment", "agg_4") == up_to(6));

    world.pass(seconds(10));
    world.drain();
    CHECK(poison.asked == 5);
    CHECK(world.versions("payment", "agg_3") == std::vector<std::int64_t>{1, 3, 4, 5, 6});
    CHECK(world.effect_count("payment") == 51);
    CHECK(world.distinct_effects("payment") == 51);
    CHECK(world.metric("bus_dead_letters_total{consumer=\"payment\"}") == 1);
    CHECK(world.metric("bus_failures_total{consumer=\"payment\"}") == 5);
}

TEMPLATE_TEST_CASE("much poison in one batch is contained, too", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    int asked = 0;
    world.consumer("payment", {"order.placed"}, [&](const Event& event) -> Result<void> {
        if (event.version % 2 == 0) return Result<void>();
        ++asked;
        if (event.version % 4 == 1) throw std::runtime_error("a handler may also throw");
        return refuse(event);
    });
    world.append_many("order", 200, 20);
    world.start();
    world.work();
    world.pass(seconds(30));
    world.drain();
    CHECK(asked == 100 * 5);
    CHECK(world.effect_count("payment") == 100);
    for (int i = 0; i < 20; ++i)
        CHECK(
            world.versions("payment", "agg_" + std::to_string(i)) ==
            std::vector<std::int64_t>{2, 4, 6, 8, 10}
        );
    CHECK(world.run(world.bus().dead_letters()).value().size() == 100);
}

TEMPLATE_TEST_CASE("an aggregate's events keep their order through failures", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    std::map<std::string, int> refusals;
    world.consumer("payment", {"order.placed"}, [&](const Event& event) -> Result<void> {
        // Each third event fails twice, some in the batch and some alone.
        if (event.version % 3 != 0) return Result<void>();
        if (++refusals[event.id] <= 2) return refuse(event);
        return Result<void>();
    });
    world.append_many("order", 400, 20);
    world.start();
    world.work();
    world.append_many("order", 200, 20, 400);  // arrive while their aggregates wait
    world.pass(seconds(60));
    world.drain();
    CHECK(world.effect_count("payment") == 600);
    for (int i = 0; i < 20; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(30));
    CHECK(world.run(world.bus().dead_letters()).value().empty());
}

TEMPLATE_TEST_CASE("what waits behind a failure still waits after a crash", "[bus]", BUSES) {
    Stubborn slow("ord_1");
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, slow.reaction(1));
    for (int version = 1; version <= 3; ++version)
        world.append("order", "ord_1", version);
    world.start();
    world.work();
    world.crash();

    world.append("order", "ord_1", 4);
    world.start();
    world.work();
    CHECK(world.effect_count("payment") == 0);
    slow.refusing = false;
    world.pass(seconds(5));
    world.drain();
    CHECK(world.versions("payment", "ord_1") == up_to(4));
}

TEMPLATE_TEST_CASE("a dead letter is listed and can be sent again", "[bus]", BUSES) {
    Stubborn poison("ord_1");
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, poison.reaction(1));
    world.append("order", "ord_1", 1);
    world.start();
    world.work();
    world.pass(seconds(10));
    CHECK(world.idle());

    auto dead = world.run(world.bus().dead_letters()).value();
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].consumer == "payment");
    CHECK(dead[0].attempts == 5);
    CHECK(dead[0].last_error == "refused: by the test");
    CHECK(dead[0].event.aggregate_id == "ord_1");
    CHECK(dead[0].event.data == "{}");
    std::string id = dead[0].event.id;

    auto stranger = world.run(world.bus().replay_dead("stranger", id));
    REQUIRE(stranger.has_error());
    CHECK(stranger.error().kind == ErrorKind::not_found);

    // Again in vain: five more tries.
    world.run(world.bus().replay_dead("payment", id)).value();
    world.pass(seconds(10));
    CHECK(poison.asked == 10);
    CHECK(world.run(world.bus().dead_letters()).value().size() == 1);

    poison.refusing = false;
    world.run(world.bus().replay_dead("payment", id)).value();
    world.pass(seconds(10));
    world.drain();
    CHECK(world.effect_count("payment") == 1);
    CHECK(world.run(world.bus().dead_letters()).value().empty());
    CHECK(world.run(world.bus().replay_dead("payment", id)).has_error());
}

TEMPLATE_TEST_CASE("an event that is too early waits for the one before it", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.publisher("payment");
    bool placed = false;
    int early = 0;
    world.consumer(
        "notification",
        {"order.placed", "payment.captured"},
        [&](const Event& event) -> Result<void> {
            if (event.type == "order.placed") placed = true;
            if (event.type == "order.placed" || placed) return Result<void>();
            ++early;
            return gap();
        }
    );
    world.append("payment", "ord_1", 1, "captured");
    world.start();
    world.work();
    world.pass(std::chrono::minutes(2));
    CHECK(early > 5);
    CHECK(world.run(world.bus().dead_letters()).value().empty());
    CHECK(world.metric("bus_failures_total{consumer=\"notification\"}") == 0);

    world.append("order", "ord_1", 1);
    world.pass(seconds(15));
    world.drain();
    CHECK(
        world.effects("notification") ==
        std::vector<std::string>{"order.placed/ord_1/1", "payment.captured/ord_1/1"}
    );
}

TEMPLATE_TEST_CASE(
    "an event whose predecessor never comes is given up in the end", "[bus]", BUSES
) {
    BusWorld world(TestType::kind());
    world.publisher("payment");
    world.consumer("notification", {"payment.captured"}, [](const Event& event) -> Result<void> {
        if (event.aggregate_id == "ord_1") return gap();
        return Result<void>();
    });
    world.append("payment", "ord_1", 1, "captured");
    world.append("payment", "ord_2", 1, "captured");
    world.start();
    world.work();
    world.pass(std::chrono::minutes(10), seconds(1));
    CHECK(world.run(world.bus().dead_letters()).value().empty());
    world.pass(std::chrono::minutes(50), seconds(10));
    CHECK(world.run(world.bus().dead_letters()).value().size() == 1);
    CHECK(world.versions("notification", "ord_2") == up_to(1));
    CHECK(world.idle());
}

TEMPLATE_TEST_CASE("ten thousand events go through in few commits", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 10'000, 500);
    world.start();
    world.database("payment").commits = 0;
    world.drain();
    CHECK(world.effect_count("payment") == 10'000);
    CHECK(world.distinct_effects("payment") == 10'000);
    for (int i = 0; i < 500; i += 50)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(20));
    CHECK(world.database("payment").commits <= world.kind().commits_for_10_000);
}

TEMPLATE_TEST_CASE("a bus that stops in the middle goes on where it was", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    std::atomic<int> handled = 0;
    world.consumer("payment", {"order.placed"}, [&](const Event&) -> Result<void> {
        ++handled;
        return Result<void>();
    });
    world.append_many("order", 3000, 30);
    world.start();
    world.bus().wake();
    while (handled < 1000)
        world.io.run_one_for(milliseconds(1));
    world.stop();
    std::int64_t before = world.effect_count("payment");
    CHECK(before >= 1000);
    CHECK(before < 3000);
    handled = 0;

    world.start();
    world.drain();
    CHECK(handled == 3000 - before);  // stopped in good order: nothing is even asked twice
    for (int i = 0; i < 30; ++i)
        CHECK(world.versions("payment", "agg_" + std::to_string(i)) == up_to(100));
}

TEMPLATE_TEST_CASE("one listener's trouble is not another's", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, refuse);
    world.consumer("notification", {"order.placed"});
    world.append_many("order", 100, 10);
    world.start();
    world.work();
    CHECK(world.effect_count("notification") == 100);
    CHECK(world.effect_count("payment") == 0);
    world.pass(seconds(60));
    CHECK(world.idle());
    auto dead = world.run(world.bus().dead_letters()).value();
    CHECK(dead.size() == 100);
    CHECK(std::all_of(dead.begin(), dead.end(), [](const events::DeadLetter& letter) {
        return letter.consumer == "payment";
    }));
    CHECK(world.effect_count("notification") == 100);
}

TEMPLATE_TEST_CASE("one listener hears several publishers", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    for (const char* name : {"order", "payment", "product"})
        world.publisher(name);
    world.consumer("notification", {"order.placed", "payment.placed", "product.placed"});
    world.consumer("order", {"payment.placed", "order.placed"});  // its own, too
    for (const char* name : {"order", "payment", "product"})
        world.append_many(name, 200, 7);
    world.start();
    world.drain();
    CHECK(world.effect_count("notification") == 600);
    CHECK(world.distinct_effects("notification") == 600);
    CHECK(world.effect_count("order") == 400);
    CHECK(world.distinct_effects("order") == 400);
}

TEMPLATE_TEST_CASE("a database that is away is no event's fault", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 100, 10);
    world.start();
    world.database("payment").away = true;
    world.work();
    world.pass(std::chrono::minutes(5), seconds(1));
    CHECK_FALSE(world.idle());
    world.database("payment").away = false;
    world.pass(seconds(20));
    CHECK(world.idle());
    CHECK(world.effect_count("payment") == 100);

    world.database("order").away = true;  // and the publisher's
    world.pass(std::chrono::minutes(1), seconds(1));
    world.database("order").away = false;
    world.append_many("order", 100, 10, 100);
    world.pass(seconds(20));
    world.drain();
    CHECK(world.effect_count("payment") == 200);
    CHECK(world.run(world.bus().dead_letters()).value().empty());
}

TEMPLATE_TEST_CASE("a new listener hears what is still kept", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});
    world.append_many("order", 20, 2);
    world.start();
    world.drain();
    world.stop();
    world.consumer("notification", {"order.placed"});
    world.start();
    world.drain();
    CHECK(world.effect_count("notification") == 20);
    CHECK(world.effect_count("payment") == 20);
}

TEMPLATE_TEST_CASE("a module cannot subscribe twice to a type", "[bus]", BUSES) {
    BusWorld world(TestType::kind());
    world.publisher("order");
    world.consumer("payment", {"order.placed", "order.placed"});
    CHECK_THROWS_AS(world.start(), Failure);
}
