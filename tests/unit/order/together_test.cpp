// Orders that are placed and paid together: each has an outcome of its own.
#include "unit/order/support.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace souk;
using namespace souk::test;

namespace {

constexpr int many = 60;

std::string key_of(int i) {
    return fmt::format("k{}", i);
}

std::string order_of(OrderWorld& world, int i) {
    return world.orders.text(
        fmt::format("SELECT order_id FROM intents WHERE idempotency_key = '{}'", key_of(i))
    );
}

Task<void> take_lease(OrderProcess& orders, std::string key) {
    const std::string sql =
        fmt::format("UPDATE intents SET fence = 2 WHERE fence = 1 AND idempotency_key = '{}'", key);
    auto taken = co_await orders.running(sql);
    REQUIRE(taken);
}

/// Holds the intents for a moment, as a slow server would.
Task<void> hold_intents(OrderProcess& orders, bool& released) {
    auto held = co_await orders.running(
        "UPDATE intents SET answer_body = answer_body RETURNING CAST(pg_sleep(0.5) AS TEXT)"
    );
    REQUIRE(held);
    released = true;
}

Task<void> place_one(OrderWorld& world, std::string key, std::string text) {
    co_await world.placing(std::move(key), std::move(text));
}

}  // namespace

TEST_CASE("each of many orders at once has its own answer, whatever becomes of the others") {
    OrderWorld world;
    const std::string plenty = world.add_product("A", 10'000);
    const std::string last = world.add_product("B", 1);
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < many; ++i) {
        std::string product = plenty;
        if (i % 10 == 3) product = "prd_unknown";
        if (i % 10 == 5) product = last;
        calls.push_back(
            world.placing(key_of(i), OrderWorld::body(product, product == last ? 1 : i + 1))
        );
    }
    const auto answers = world.run_all(std::move(calls));
    int got_last = 0;
    std::int64_t units = 0;
    for (int i = 0; i < many; ++i) {
        const Answer& answer = answers[static_cast<std::size_t>(i)];
        CAPTURE(i, answer.text);
        if (i % 10 == 3) {
            CHECK(answer.code() == "unknown_product");
            continue;
        }
        if (i % 10 == 5) {
            got_last += answer.status == 201;
            if (answer.status != 201) CHECK(answer.code() == "out_of_stock");
            continue;
        }
        REQUIRE(answer.status == 201);
        units += i + 1;
        const std::string id = answer.member("id");
        CHECK(id == order_of(world, i));
        const std::string wanted = fmt::format("{}", i + 1);
        const std::string of_it = fmt::format("WHERE order_id = '{}'", id);
        CHECK(
            world.orders.text("SELECT CAST(quantity AS TEXT) FROM order_lines " + of_it) == wanted
        );
        CHECK(world.products.text("SELECT CAST(quantity AS TEXT) FROM holds " + of_it) == wanted);
        const Answer again = world.place(key_of(i), OrderWorld::body(plenty, i + 1));
        CHECK(again.replayed());
        CHECK(again.text == answer.text);
    }
    CHECK(got_last == 1);
    CHECK(world.stock(last) == "1/0/1/0");
    CHECK(world.stock(plenty) == fmt::format("10000/{}/{}/0", 10'000 - units, units));
    CHECK(world.orders.number("SELECT COUNT(*) FROM outbox") == world.order_count());
}

TEST_CASE("one whose lease was lost is refused, the others beside it are placed") {
    OrderWorld world;
    const std::string id = world.add_product("A", 1000);
    world.product_peer.after_reserve = [&]() -> Task<void> {
        return take_lease(world.orders, key_of(7));
    };
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < many; ++i)
        calls.push_back(world.placing(key_of(i), OrderWorld::body(id, 1)));
    const auto answers = world.run_all(std::move(calls));
    for (int i = 0; i < many; ++i) {
        CAPTURE(i);
        CHECK(answers[static_cast<std::size_t>(i)].status == (i == 7 ? 409 : 201));
    }
    CHECK(world.order_count() == many - 1);
    CHECK(world.orders.number("SELECT COUNT(*) FROM outbox") == many - 1);
    CHECK(world.orders.text("SELECT status FROM intents WHERE fence = 2") == "open");
}

TEST_CASE("payments that come together pay each its own order, once") {
    OrderWorld world;
    const std::string id = world.add_product("A", 100);
    std::vector<std::string> orders;
    for (int i = 0; i < 4; ++i)
        orders.push_back(world.place(key_of(i), OrderWorld::body(id, i + 1)).member("id"));
    CHECK(world.declined(orders[3]));
    world.orders.take_events();

    std::vector<Event> events;
    for (const std::size_t i : {2, 0, 3, 1, 0})  // one is cancelled, one comes twice
        events.push_back(OrderWorld::payment_event("payment.captured", orders[i]));
    events.push_back(OrderWorld::payment_event("payment.captured", "ord_unknown"));
    const auto early = world.orders.deliver(events);
    REQUIRE_FALSE(early);
    CHECK(early.error().code == gap().code);
    CHECK(world.status(orders[0]) == "pending");  // none of them; the inbox halves the batch

    events.pop_back();
    REQUIRE(world.orders.deliver(events));
    const auto paid = world.orders.take_events();
    REQUIRE(paid.size() == 3);
    for (const Event& event : paid) {
        const auto i = std::find(orders.begin(), orders.end(), event.aggregate_id) - orders.begin();
        CAPTURE(i, event.data);
        CHECK(event.type == "order.paid");
        CHECK(event.version == 2);
        CHECK(event.data.find(fmt::format("{}", 255 * (i + 1))) != std::string::npos);
        CHECK(world.status(event.aggregate_id) == "paid");
    }
    CHECK(world.status(orders[3]) == "cancelled:payment_declined");
}

TEST_CASE("a stop waits for what was begun for a client that has gone") {
    if (!DatabaseFixture::on_postgres()) return;
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_claim");
        CHECK(world.place("k1", OrderWorld::body(id, 1)).status == 503);
    }
    REQUIRE(world.orders.sql("UPDATE intents SET lease_until = 0"));
    bool released = false;
    asio::co_spawn(
        world.context, hold_intents(world.orders, released), [](const std::exception_ptr&) {}
    );
    REQUIRE(world.products.sql("SELECT CAST(pg_sleep(0.1) AS TEXT)"));  // it has them
    asio::cancellation_signal gone;
    asio::co_spawn(
        world.context,
        place_one(world, "k1", OrderWorld::body(id, 1)),
        asio::bind_cancellation_slot(gone.slot(), [](const std::exception_ptr&) {})
    );
    REQUIRE(world.products.sql("SELECT CAST(pg_sleep(0.1) AS TEXT)"));  // its claim waits for them
    gone.emit(asio::cancellation_type::terminal);
    CHECK_FALSE(released);
    world.orders.stop();
    CHECK(released);
    world.orders.destroy();
}
