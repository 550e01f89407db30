#include "base/signal.hpp"
#include "unit/order/support.hpp"

using namespace souk;
using namespace souk::test;
using payment::VoidOutcome;

namespace {

Task<void> until_set(std::shared_ptr<base::Signal> signal) {
    const bool set = co_await signal->wait();
    if (!set) throw std::runtime_error("cancelled");
    co_return;
}

Task<void> raise_fence(OrderProcess& orders) {
    auto raised = co_await orders.running("UPDATE intents SET fence = fence + 1");
    REQUIRE(raised);
}

}  // namespace

TEST_CASE("a captured payment makes the order paid and its stock sold, once") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    CHECK(world.captured(order));
    CHECK(world.captured(order));
    CHECK(world.status(order) == "paid");
    CHECK(world.relay() == "order.placed@1 order.paid@2");
    CHECK(world.stock(id) == "10/8/0/2");
    CHECK(world.declined(order));  // stale
    CHECK(world.status(order) == "paid");
    CHECK(world.relay().empty());
}

TEST_CASE("a declined payment cancels the order and gives the stock back") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    CHECK(world.declined(order));
    CHECK(world.declined(order));
    CHECK(world.status(order) == "cancelled:payment_declined");
    CHECK(world.relay() == "order.placed@1 order.cancelled@2");
    CHECK(world.stock(id) == "10/10/0/0");
    CHECK(world.captured(order));  // payment gives it back; nothing happens here
    CHECK(world.status(order) == "cancelled:payment_declined");
}

TEST_CASE("a capture that came behind a fence and was refunded cancels the order") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    CHECK(world.refunded(order));
    CHECK(world.status(order) == "cancelled:payment_refunded");
    CHECK(world.relay() == "order.placed@1 order.cancelled@2");
    CHECK(world.stock(id) == "10/10/0/0");

    const std::string paid = world.place("k2", OrderWorld::body(id, 2)).member("id");
    CHECK(world.captured(paid));
    CHECK(world.refunded(paid));
    CHECK(world.status(paid) == "paid");
}

TEST_CASE("a payment of an order that is not known is too early") {
    OrderWorld world;
    const auto early = world.captured("ord_none");
    REQUIRE_FALSE(early);
    CHECK(early.error().code == gap().code);
    CHECK_FALSE(world.declined("ord_none"));
}

TEST_CASE("a customer cancels a pending order once per key") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    CHECK(world.cancel(order, "c1", customer("usr_other")).status == 404);
    CHECK(world.payment.voided.empty());

    const Answer cancelled = world.cancel(order, "c1");
    REQUIRE(cancelled.status == 200);
    CHECK(cancelled.member("status") == "cancelled");
    CHECK(cancelled.member("cancel_reason") == "by_customer");
    const Answer again = world.cancel(order, "c1");
    CHECK(again.status == 200);
    CHECK(again.replayed());
    CHECK(again.text == cancelled.text);
    const Answer twice = world.cancel(order, "c2");
    CHECK(twice.status == 409);
    CHECK(twice.code() == "already_cancelled");
    CHECK(world.cancel("ord_none", "c1").status == 422);
    CHECK(world.relay() == "order.placed@1 order.cancelled@2");
    CHECK(world.stock(id) == "10/10/0/0");
    CHECK(world.orders.get("/api/orders/{id}", order, customer()).text == cancelled.text);
}

TEST_CASE("what is charged or may be charged is not cancelled") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    world.payment.outcome = VoidOutcome::unknown;
    const Answer unknown = world.cancel(order, "c1");
    CHECK(unknown.status == 409);
    CHECK(unknown.headers.has("Retry-After"));
    world.payment.outcome = VoidOutcome::captured;
    const Answer captured = world.cancel(order, "c1");
    CHECK(captured.status == 409);
    CHECK(captured.code() == "already_paid");
    CHECK(world.status(order) == "pending");
    REQUIRE(world.captured(order));
    world.payment.outcome = VoidOutcome::fenced;
    CHECK(world.cancel(order, "c1").code() == "already_paid");
    CHECK(world.status(order) == "paid");
}

TEST_CASE("an intent that nobody retries is ended and its stock given back") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_reserve");
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    const std::string order_id = world.intent_order();
    world.advance(lease + sweep_every);  // over, yet a client may still come back
    CHECK(world.intent_order() == order_id);
    CHECK(world.stock(id) == "10/8/2/0");

    world.advance(lease);
    CHECK(world.intent_order() == "(none)");
    CHECK(world.stock(id) == "10/10/0/0");
    CHECK(world.products.text("SELECT status FROM reservations") == "released");

    // The key is as good as new, with another order.
    const Answer late = world.place("k1", OrderWorld::body(id, 2));
    REQUIRE(late.status == 201);
    CHECK(late.member("id") != order_id);
    CHECK(world.stock(id) == "10/8/2/0");
}

TEST_CASE("a fenced intent waits for its release, through failures, and cannot be finished") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_reserve");
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    world.product_peer.away = true;
    world.advance(2 * lease + sweep_every);
    CHECK(world.orders.text("SELECT status FROM intents") == "dead");
    const Answer retry = world.place("k1", OrderWorld::body(id, 2));
    CHECK(retry.code() == "idempotency_in_flight");
    world.product_peer.away = false;
    world.advance(sweep_every);
    CHECK(world.intent_order() == "(none)");
    CHECK(world.stock(id) == "10/10/0/0");
}

TEST_CASE("a request that was swept while it slept changes nothing") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_reserve");
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    // The sweeper fences the intent between this request's reserve and its commit.
    REQUIRE(world.orders.sql("UPDATE intents SET lease_until = 0"));
    world.product_peer.after_reserve = [&]() -> Task<void> { return raise_fence(world.orders); };
    const Answer stale = world.place("k1", OrderWorld::body(id, 2));
    CHECK(stale.status == 409);
    CHECK(stale.code() == "idempotency_in_flight");
    CHECK(world.order_count() == 0);
    CHECK(world.orders.take_events().empty());
}

TEST_CASE("an order without a payment is cancelled only when payment promises not to charge") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 2)).member("id");
    world.advance(std::chrono::minutes(14));
    CHECK(world.payment.voided.empty());

    world.payment.outcome = VoidOutcome::unknown;
    world.advance(std::chrono::minutes(2));
    CHECK(world.payment.voided.size() == 1);
    CHECK(world.status(order) == "pending");
    world.payment.outcome = VoidOutcome::captured;
    world.advance(sweep_every);
    CHECK(world.status(order) == "pending");
    world.payment.outcome = VoidOutcome::fenced;
    world.advance(sweep_every);
    CHECK(world.status(order) == "cancelled:payment_timeout");
    CHECK(world.relay() == "order.placed@1 order.cancelled@2");
    CHECK(world.stock(id) == "10/10/0/0");
}

TEST_CASE("a stop does not wait for a sweep past its deadline, and the sweep touches nothing then"
) {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    for (const char* key : {"k1", "k2"})
        REQUIRE(world.place(key, OrderWorld::body(id, 2)).status == 201);
    const auto answered = base::Signal::make(world.context.get_executor());
    world.payment.before_answer = [&]() -> Task<void> { return until_set(answered); };
    world.clock.advance(std::chrono::minutes(16));
    world.until([&] { return world.payment.voided.size() == 1; });

    bool stopped = false;
    asio::co_spawn(world.context, world.orders.stopping(), [&](std::exception_ptr error) {
        stopped = !error;
    });
    while (world.context.poll() > 0) {
    }
    CHECK_FALSE(stopped);  // it gives the sweep its time
    world.clock.advance(seconds(5));
    world.until([&] { return stopped; });

    world.orders.destroy();
    answered->set();
    while (world.context.poll() > 0) {
    }
    CHECK(world.payment.voided.size() == 1);  // it ended after what was under way
    CHECK(world.orders.number("SELECT COUNT(*) FROM orders WHERE status = 'pending'") == 2);
}

TEST_CASE("the audit shows all orders with their lines, then what is under way") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    for (int i = 0; i < 3; ++i)
        REQUIRE(world.place(fmt::format("k{}", i), OrderWorld::body(id, 2)).status == 201);
    {
        const Armed armed("order.after_claim");
        world.place("k9", OrderWorld::body(id, 1));
    }
    std::map<std::string, int> kinds;
    std::string target = "?limit=2";
    for (;;) {
        const Answer page = world.orders.get("/internal/order/audit", target);
        REQUIRE(page.status == 200);
        for (const auto& row : page.body.at("data").as_array()) {
            ++kinds[std::string(row.at("kind").as_string())];
            if (row.at("kind") == "order") {
                CHECK(row.at("units") == 2);
                CHECK(row.at("amount") == 510);
                CHECK(row.at("lines").at(0).at("product_id") == json::value(id));
            } else {
                CHECK(row.at("status") == "open");
                CHECK(row.at("lease_expired") == false);
            }
        }
        if (!page.body.at("has_more").as_bool()) break;
        target = "?limit=2&cursor=" + page.member("next_cursor");
    }
    CHECK(kinds == std::map<std::string, int>{{"order", 3}, {"intent", 1}});
}

TEST_CASE("peers read many orders at once") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    std::vector<std::string> ids(1, "ord_none");
    ids.push_back(world.place("k1", OrderWorld::body(id, 1)).member("id"));
    ids.push_back(world.place("k2", OrderWorld::body(id, 2)).member("id"));
    auto& api = *static_cast<order::Api*>(world.peers.find("order"));
    const CallContext ctx(Deadline::never());
    const auto found = world.run(api.get_many(ctx, ids));
    REQUIRE(found);
    REQUIRE(found->size() == 2);
    CHECK(found->at(1).lines.at(0).quantity == 2);
    const std::vector<std::string> too_many(201, "ord_1");
    CHECK_FALSE(world.run(api.get_many(ctx, too_many)));
}
