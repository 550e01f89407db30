// What only the embedded bus has: its poll, its grouped cursors, its pruning.
#include "contract/bus_world.hpp"

#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>

#include <optional>
#include <thread>

using namespace souk;
using namespace souk::test;

namespace {

/// A world with one publisher and one listener, "order" and "payment".
void furnish(BusWorld& world, Reaction reaction = {}) {
    world.publisher("order");
    world.consumer("payment", {"order.placed"}, std::move(reaction));
}

Task<void> stop_and_tell(events::EventBus& bus, Deadline deadline, bool& stopped) {
    co_await bus.stop(deadline);
    stopped = true;
}

}  // namespace

TEST_CASE("an idle bus asks each publisher once a poll and writes nothing") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.consumer("notification", {"order.placed"});
    world.append_many("order", 10, 2);
    world.start();
    world.drain();
    world.pass(seconds(2));  // the cursors are saved by the poll

    for (const char* name : {"order", "payment", "notification"}) {
        world.database(name).queries = 0;
        world.database(name).commits = 0;
    }
    world.pass(seconds(20));
    CHECK(world.database("order").queries <= 21);
    CHECK(world.database("order").commits == 0);
    CHECK(world.database("payment").queries == 0);
    CHECK(world.database("payment").commits == 0);
    CHECK(world.database("notification").queries == 0);
}

TEST_CASE("many wakes from many threads cost next to nothing") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.start();
    world.work();
    world.database("order").queries = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i)
                world.bus().wake();
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(world.io.poll() < 100);  // not a handler for each
    world.work();
    CHECK(world.database("order").queries <= 2);
}

TEST_CASE("under load the bus looks for events every 10 ms at most, after a rest at once") {
    BusWorld world(BusWorld::embedded());
    world.options.gather = milliseconds(10);
    furnish(world);
    world.start();
    world.pass(seconds(10));
    world.append("order", "ord_first", 1);
    world.work();  // no time passes
    CHECK(world.effect_count("payment") == 1);

    constexpr int orders = 400;
    world.database("order").queries = 0;
    for (int i = 0; i < orders; ++i) {
        world.append("order", "ord_1", i + 1);
        world.work();
        world.clock.advance(milliseconds(1));
    }
    world.pass(milliseconds(20), milliseconds(10));
    CHECK(world.effect_count("payment") == 1 + orders);
    // A look is a query for what is new, and one for the events where there are any; what a rest
    // saved up is a few looks.
    CHECK(world.database("order").queries <= 2 * (orders / 10 + 10));
    CHECK(world.database("order").queries >= orders / 10);
}

TEST_CASE("the cursors of all listeners are saved together") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.consumer("notification", {"order.placed"});
    world.start();
    world.work();
    world.database("order").commits = 0;
    for (int i = 1; i <= 50; ++i) {
        world.append("order", "ord_1", i);
        world.drain();
    }
    CHECK(world.database("order").commits == 50);  // the appends alone
    world.pass(seconds(2));
    CHECK(world.database("order").commits == 51);
    CHECK(world.number("order", "SELECT MIN(seq) FROM bus_cursor") == 50);
}

TEST_CASE("an outbox row goes when it is old and everybody has passed it") {
    BusWorld world(BusWorld::embedded());
    furnish(world, [](const Event& event) -> Result<void> {
        if (event.aggregate_id == "agg_7") return conflict("refused", "by the test");
        return Result<void>();
    });
    world.append_many("order", 1200, 1200);
    world.start();
    world.work();
    world.pass(std::chrono::minutes(58), seconds(10));
    CHECK(world.number("order", "SELECT COUNT(*) FROM outbox") == 1200);

    world.append("order", "ord_young", 1);
    world.pass(std::chrono::minutes(5), seconds(10));
    // The dead letter stays as long as it is one, the young one for its hour.
    CHECK(world.number("order", "SELECT COUNT(*) FROM outbox") == 2);
    CHECK(world.run(world.bus().dead_letters()).value().size() == 1);
    CHECK(world.effect_count("payment") == 1200);
}

TEST_CASE("a listener that lags keeps the outbox") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.consumer("notification", {"order.placed"});
    world.append_many("order", 100, 10);
    world.start();
    world.database("notification").away = true;
    world.pass(std::chrono::hours(3), seconds(10));
    CHECK(world.effect_count("payment") == 100);
    CHECK(world.number("order", "SELECT COUNT(*) FROM outbox") == 100);
    CHECK(world.metric("bus_lag_events{consumer=\"notification\",publisher=\"order\"}") == 100);
    world.database("notification").away = false;
    world.pass(seconds(20));
    CHECK(world.effect_count("notification") == 100);
}

TEST_CASE("an empty outbox does not start its numbers again") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.append_many("order", 10, 10);
    world.start();
    world.drain();
    world.pass(std::chrono::hours(2), seconds(10));
    CHECK(world.number("order", "SELECT COUNT(*) FROM outbox") == 0);
    world.append("order", "ord_1", 1);
    world.drain();
    CHECK(world.effect_count("payment") == 11);
}

TEST_CASE("an inbox row goes after seven days") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.append_many("order", 700, 7);
    world.start();
    world.drain();
    world.pass(std::chrono::hours(7 * 24 - 1), std::chrono::minutes(10));
    CHECK(world.number("payment", "SELECT COUNT(*) FROM inbox") == 700);
    world.append("order", "ord_1", 1);
    world.drain();
    world.pass(std::chrono::hours(2), std::chrono::minutes(10));
    CHECK(world.number("payment", "SELECT COUNT(*) FROM inbox") == 1);
}

TEST_CASE("stop returns at its deadline even when a database is stuck") {
    BusWorld world(BusWorld::embedded());
    furnish(world);
    world.append("order", "ord_1", 1);
    world.start();
    world.database("payment").stuck = true;
    world.bus().wake();
    for (int i = 0; i < 50; ++i)
        world.io.run_one_for(milliseconds(2));

    bool stopped = false;
    Deadline deadline(world.clock, seconds(5));
    asio::co_spawn(world.io, stop_and_tell(world.bus(), deadline, stopped), asio::detached);
    for (int i = 0; i < 50; ++i)
        world.io.run_one_for(milliseconds(2));
    CHECK_FALSE(stopped);
    world.database("payment").stuck = false;  // what is in hand is finished
    world.clock.advance(milliseconds(2));
    while (!stopped)
        world.io.run_one_for(milliseconds(2));
    CHECK(world.effect_count("payment") == 1);
    CHECK(world.number("order", "SELECT seq FROM bus_cursor") == 1);

    world.bus().wake();  // spurious, and harmless after the end
    world.io.poll();
    world.crash();
    world.append("order", "ord_1", 2);
    world.start();
    world.database("payment").stuck = true;
    world.bus().wake();
    for (int i = 0; i < 50; ++i)
        world.io.run_one_for(milliseconds(2));
    stopped = false;
    Deadline second(world.clock, seconds(5));
    asio::co_spawn(world.io, stop_and_tell(world.bus(), second, stopped), asio::detached);
    for (int i = 0; i < 50; ++i)
        world.io.run_one_for(milliseconds(2));
    world.clock.advance(seconds(5));
    for (int i = 0; i < 50; ++i)
        world.io.run_one_for(milliseconds(2));
    CHECK(stopped);
    world.database("payment").stuck = false;
    world.clock.advance(seconds(1));
}
