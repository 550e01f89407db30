#include "unit/product/support.hpp"

using namespace souk;
using namespace souk::test;

TEST_CASE("a reservation sums lines of one product and answers the prices in order of id") {
    ProductWorld world;
    const std::string first = world.add("A", 10, 255);
    const std::string second = world.add("B", 10, 100);

    auto reserved = world.reserve("ord_1", Lines{{second, 1}, {first, 2}, {second, 3}});
    REQUIRE(reserved);
    REQUIRE(reserved->size() == 2);
    CHECK(reserved->at(0).product_id == first);
    CHECK(reserved->at(0).sku == "A");
    CHECK(reserved->at(0).unit_price == UnitPrice::from_minor(255));
    CHECK(reserved->at(1).product_id == second);
    CHECK(world.stock(first) == "10/8/2/0");
    CHECK(world.stock(second) == "10/6/4/0");
}

TEST_CASE("a repeated reservation answers what the first one did and takes nothing") {
    ProductWorld world;
    const std::string id = world.add("A", 10, 255);
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    REQUIRE(world.sql("UPDATE products SET price_micros = 1, name = 'another'"));

    auto again = world.reserve("ord_1", Lines{{id, 2}});
    REQUIRE(again);
    CHECK(again->at(0).unit_price == UnitPrice::from_minor(255));
    CHECK(again->at(0).name == "A A");
    CHECK(world.stock(id) == "10/8/2/0");
}

TEST_CASE("a reservation holds all lines or none and names each faulty line") {
    ProductWorld world;
    const std::string plenty = world.add("A", 10);
    const std::string scarce = world.add("B", 1);

    auto short_of = world.reserve("ord_1", Lines{{plenty, 1}, {scarce, 1}, {scarce, 1}});
    REQUIRE_FALSE(short_of);
    CHECK(short_of.error().kind == ErrorKind::conflict);
    CHECK(short_of.error().code == "out_of_stock");
    const auto fields = short_of.error().fields;
    REQUIRE(fields.size() == 2);
    CHECK(fields[0].pointer == "/items/1");
    CHECK(fields[1].pointer == "/items/2");
    CHECK(world.stock(plenty) == "10/10/0/0");
    CHECK(world.reservation("ord_1") == "(none)");

    REQUIRE(world.sql("UPDATE products SET price_micros = NULL WHERE sku = 'B'"));
    auto unknown = world.reserve("ord_2", Lines{{"prd_none", 1}, {plenty, 1}, {scarce, 1}});
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().kind == ErrorKind::invalid);
    CHECK(unknown.error().code == "unknown_product");
    const auto faults = unknown.error().fields;
    REQUIRE(faults.size() == 2);
    CHECK(faults[0].pointer == "/items/0");
    CHECK(faults[1].pointer == "/items/2");
    CHECK(world.stock(plenty) == "10/10/0/0");
}

TEST_CASE("200 buyers of the last 20 units: 20 get one, 180 are told") {
    ProductWorld world;
    const std::string id = world.add("A", 20);
    std::vector<Task<Result<std::vector<product::ReservedProduct>>>> buyers;
    const CallContext ctx(Deadline::never());
    for (int i = 0; i < 200; ++i)
        buyers.push_back(world.api().reserve(ctx, fmt::format("ord_{}", i), Lines{{id, 1}}));
    int won = 0;
    int told = 0;
    for (const auto& result : world.run_all(std::move(buyers))) {
        won += result.has_value();
        told += result.has_error() && result.error().code == "out_of_stock";
    }
    CHECK(won == 20);
    CHECK(told == 180);
    CHECK(world.stock(id) == "20/0/20/0");
    CHECK(world.number("SELECT COUNT(*) FROM reservations") == 20);
}

TEST_CASE("the database itself refuses stock that does not add up") {
    ProductWorld world;
    const std::string id = world.add("A", 1);
    auto lost = world.sql("UPDATE stock SET available = 0");
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == "check_violation");
    CHECK_FALSE(world.sql("UPDATE stock SET available = -1, held = 2"));
    CHECK(world.stock(id) == "1/1/0/0");
}

TEST_CASE("a released hold is given back once, and the order takes no more stock") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    CHECK(world.release("ord_1"));
    CHECK(world.release("ord_1"));
    CHECK(world.stock(id) == "5/5/0/0");

    auto late = world.reserve("ord_1", Lines{{id, 2}});
    REQUIRE_FALSE(late);
    CHECK(late.error().code == "order_released");
    CHECK(world.stock(id) == "5/5/0/0");
}

TEST_CASE("a release before the reservation leaves a tombstone that refuses it") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    CHECK(world.release("ord_1"));
    auto late = world.reserve("ord_1", Lines{{id, 2}});
    REQUIRE_FALSE(late);
    CHECK(late.error().code == "order_released");
    CHECK(world.stock(id) == "5/5/0/0");
}

TEST_CASE("order.paid sells what is held, once, and nothing brings it back") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    CHECK(world.paid("ord_1"));
    CHECK(world.paid("ord_1"));
    CHECK(world.stock(id) == "5/3/0/2");
    CHECK(world.text("SELECT status FROM reservations") == "committed");

    auto released = world.release("ord_1");
    REQUIRE_FALSE(released);
    CHECK(released.error().code == "hold_committed");
    CHECK(world.cancelled("ord_1"));
    CHECK(world.stock(id) == "5/3/0/2");
}

TEST_CASE("orders paid together sell each what it holds, once") {
    ProductWorld world;
    const std::string id = world.add("A", 20);
    for (int i = 1; i <= 4; ++i)
        REQUIRE(world.reserve(fmt::format("ord_{}", i), Lines{{id, i}}));
    REQUIRE(world.release("ord_3"));
    std::vector<Event> events;
    for (const char* order : {"ord_4", "ord_1", "ord_3", "ord_unknown", "ord_1"})
        events.emplace_back("order.paid", order, 2, "{}");
    CHECK(world.deliver(events));
    CHECK(world.stock(id) == "20/13/2/5");
    CHECK(world.deliver(events));
    CHECK(world.stock(id) == "20/13/2/5");
    CHECK(world.text("SELECT status FROM reservations WHERE order_id = 'ord_2'") == "held");
    CHECK(world.text("SELECT status FROM reservations WHERE order_id = 'ord_4'") == "committed");
}

TEST_CASE("order.cancelled gives back what is held; without a hold both events do nothing") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    CHECK(world.cancelled("ord_1"));
    CHECK(world.cancelled("ord_1"));
    CHECK(world.stock(id) == "5/5/0/0");
    CHECK(world.paid("ord_unknown"));
    CHECK(world.cancelled("ord_unknown"));
    CHECK(world.stock(id) == "5/5/0/0");
}

TEST_CASE("old holds raise an alarm and are never released by the clock") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    world.start();
    world.until([&] { return world.clock.sleepers() == 1; });
    world.clock.advance(std::chrono::minutes(14));
    world.until([&] { return world.clock.sleepers() == 1; });
    CHECK(world.metrics.gauge_value == 0);
    world.clock.advance(std::chrono::minutes(2));
    world.until([&] { return world.clock.sleepers() == 1; });
    CHECK(world.metrics.gauge_value == 1);
    CHECK(world.stock(id) == "5/3/2/0");
    world.stop();
    CHECK(world.clock.sleepers() == 0);
}

TEST_CASE("answers to stock changes are kept for 30 days and then forgotten in bounded steps") {
    ProductWorld world;
    const Timestamp now = world.clock.now();
    constexpr std::chrono::hours retention{30 * 24};
    REQUIRE(world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "INSERT INTO stock_requests SELECT 'usr_admin', 'old_' || i, 'hash', '{}', $1 FROM n",
        souk::bind(Timestamp(now - retention - std::chrono::hours(1)))
    ));
    REQUIRE(world.sql(
        "INSERT INTO stock_requests VALUES ('usr_admin', 'in_use', 'hash', '{}', $1)",
        souk::bind(Timestamp(now - retention + std::chrono::hours(1)))
    ));
    const auto after_a_step = [&] {
        world.until([&] { return world.clock.sleepers() == 1; });
        world.clock.advance(std::chrono::minutes(1));
        world.until([&] { return world.clock.sleepers() == 1; });
        return world.number("SELECT COUNT(*) FROM stock_requests");
    };
    world.start();
    CHECK(after_a_step() == 501);
    CHECK(after_a_step() == 1);
    CHECK(after_a_step() == 1);
    CHECK(world.text("SELECT idempotency_key FROM stock_requests") == "in_use");
    world.stop();
}
