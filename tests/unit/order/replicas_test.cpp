// Two processes of the module on one database.
#include "unit/order/support.hpp"

using namespace souk;
using namespace souk::test;

namespace {

constexpr int many = 20;

Task<Answer> place_at(OrderProcess& process, std::string key, std::string text) {
    http::Headers headers;
    headers.add("Idempotency-Key", key);
    return process.call(
        http::Method::post, "/api/orders", "", customer(), std::move(text), std::move(headers)
    );
}

Task<Answer> cancel_at(OrderProcess& process, std::string id, std::string key) {
    http::Headers headers;
    headers.add("Idempotency-Key", key);
    return process.call(
        http::Method::post, "/api/orders/{id}/cancel", std::move(id), customer(), "", headers
    );
}

}  // namespace

TEST_CASE("one key at two replicas at once is one order, and its stock is held once") {
    OrderWorld world(2);
    const std::string id = world.add_product("A", 1000);
    for (int round = 0; round < 5; ++round) {
        std::vector<Task<Answer>> calls;
        for (int i = 0; i < many; ++i)
            calls.push_back(place_at(
                i % 2 == 0 ? world.orders : *world.second,
                fmt::format("k{}", round),
                OrderWorld::body(id, 2)
            ));
        int fresh = 0;
        for (const Answer& answer : world.run_all(std::move(calls))) {
            const bool in_flight = answer.code() == "idempotency_in_flight";
            CHECK((answer.status == 201 || in_flight));
            fresh += answer.status == 201 && !answer.replayed();
        }
        CHECK(fresh == 1);
        CHECK(world.order_count() == round + 1);
    }
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents WHERE fence = 1") == 5);
    CHECK(world.stock(id) == "1000/990/10/0");
}

TEST_CASE("one cancellation at two replicas at once is one, with one answer") {
    OrderWorld world(2);
    const std::string id = world.add_product("A", 100);
    for (int i = 0; i < many; ++i) {
        const std::string order =
            world.place(fmt::format("k{}", i), OrderWorld::body(id, 1)).member("id");
        const bool one_key = i % 2 == 0;
        std::vector<Task<Answer>> calls;
        calls.push_back(cancel_at(world.orders, order, fmt::format("c{}", i)));
        calls.push_back(cancel_at(*world.second, order, fmt::format("c{}{}", i, one_key ? "" : "b"))
        );
        int cancelled = 0;
        for (const Answer& answer : world.run_all(std::move(calls)))
            cancelled += answer.status == 200 && !answer.replayed();
        CHECK(cancelled == 1);
        CHECK(world.relay() == "order.placed@1 order.cancelled@2");
    }
    CHECK(world.stock(id) == "100/100/0/0");
}

TEST_CASE("two sweepers release what was abandoned once and cancel what is overdue once") {
    OrderWorld world(2);
    const std::string id = world.add_product("A", 1000);
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < many; ++i) {
            const Armed armed("order.after_reserve");
            const auto key = fmt::format("dead{}/{}", round, i);
            CHECK(world.place(key, OrderWorld::body(id, 1)).status == 503);
        }
        world.advance(2 * lease + sweep_every);
        world.advance(sweep_every);
    }
    CHECK(world.product_peer.released.size() == 5 * many);
    for (const auto& [order, times] : world.product_peer.released)
        CHECK(times == 1);
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 0);
    CHECK(world.stock(id) == "1000/1000/0/0");

    for (int i = 0; i < many; ++i)
        CHECK(world.place(fmt::format("k{}", i), OrderWorld::body(id, 1)).status == 201);
    world.advance(std::chrono::minutes(16));
    world.advance(sweep_every);
    CHECK(world.orders.number("SELECT COUNT(*) FROM orders WHERE status = 'cancelled'") == many);
    CHECK(world.orders.number("SELECT COUNT(*) FROM outbox") == 2 * many);
    world.relay();
    CHECK(world.stock(id) == "1000/1000/0/0");
}

TEST_CASE("a sweeper leaves an order alone that a consumer is just changing") {
    OrderWorld world(2);
    const std::string id = world.add_product("A", 100);
    std::vector<std::string> placed;
    for (int i = 0; i < many; ++i)
        placed.push_back(world.place(fmt::format("k{}", i), OrderWorld::body(id, 1)).member("id"));
    world.clock.advance(std::chrono::minutes(16));  // both sweepers set out
    std::vector<Task<Result<void>>> events;
    for (auto order = placed.rbegin(); order != placed.rend(); ++order)
        events.push_back(
            world.second->delivering(OrderWorld::payment_event("payment.captured", *order))
        );
    for (const auto& handled : world.run_all(std::move(events)))
        CHECK(handled);
    world.advance(sweep_every);
    CHECK(world.orders.number("SELECT COUNT(*) FROM orders WHERE status = 'pending'") == 0);
    CHECK(world.orders.number("SELECT COUNT(*) FROM outbox") == 2 * many);
}

TEST_CASE("answers are kept for thirty days and then forgotten in batches, what is open stays") {
    const std::size_t replicas = GENERATE(1, 2);
    OrderWorld world(replicas);
    const std::string id = world.add_product("A", 100);
    const Answer first = world.place("k1", OrderWorld::body(id, 1));
    REQUIRE(world.cancel(first.member("id"), "c1").status == 200);
    REQUIRE(
        world.orders.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                         "WHERE i < 1200) INSERT INTO intents SELECT 'usr_x', 'r', 'k' || i, 'h', "
                         "'ord_' || i, 'final', 1, 0, 201, '{}', 0 FROM n")
    );
    world.advance(std::chrono::minutes(1));
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 1);
    world.advance(std::chrono::hours(29 * 24));
    CHECK(world.place("k1", OrderWorld::body(id, 1)).text == first.text);
    CHECK(world.cancel(first.member("id"), "c1").replayed());
    world.product_peer.away = true;
    CHECK(world.place("open", OrderWorld::body(id, 1)).status == 503);
    world.advance(std::chrono::hours(2 * 24));
    CHECK(world.orders.text("SELECT idempotency_key FROM intents") == "open");
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 1);
    CHECK(world.orders.number("SELECT COUNT(*) FROM cancel_requests") == 0);
}
