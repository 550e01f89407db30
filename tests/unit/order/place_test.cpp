#include "unit/order/support.hpp"

#include <set>

using namespace souk;
using namespace souk::test;

TEST_CASE("an order is placed at the shop's price, holds stock and is announced") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10, "0.5");
    const Answer placed = world.place("k1", OrderWorld::body(id, 3));
    REQUIRE(placed.status == 201);
    CHECK(placed.member("status") == "pending");
    CHECK(placed.body.at("total").at("amount") == 2);
    CHECK(placed.body.at("total").at("currency") == "GBP");
    const auto& item = placed.body.at("items").at(0);
    CHECK(item.at("sku") == "A");
    CHECK(item.at("unit_amount_decimal") == "0.5");
    CHECK(item.at("total") == 2);
    CHECK(world.stock(id) == "10/7/3/0");

    const auto events = world.orders.take_events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == "order.placed");
    CHECK(events[0].aggregate_id == placed.member("id"));
    CHECK(events[0].version == 1);
    const auto data = json::parse(events[0].data).value();
    CHECK(data.at("amount") == 2);
    CHECK(data.at("payment_token") == "tok_approve");
    CHECK(data.at("user_id") == "usr_customer");
    CHECK(data.at("number") == placed.body.at("number"));

    const Answer shown = world.orders.get("/api/orders/{id}", placed.member("id"), customer());
    CHECK(shown.text == placed.text);
}

TEST_CASE("an order of nothing is legal") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10, "0");
    const Answer placed = world.place("k1", OrderWorld::body(id, 1));
    REQUIRE(placed.status == 201);
    CHECK(placed.body.at("total").at("amount") == 0);
}

TEST_CASE("the same key and body replays the same bytes, another body is refused") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const Answer first = world.place("k1", OrderWorld::body(id, 1));
    REQUIRE(first.status == 201);
    CHECK_FALSE(first.replayed());
    REQUIRE(world.captured(first.member("id")));

    const Answer again = world.place("k1", OrderWorld::body(id, 1));
    CHECK(again.status == 201);
    CHECK(again.replayed());
    CHECK(again.text == first.text);
    const Answer other = world.place("k1", OrderWorld::body(id, 2));
    CHECK(other.status == 422);
    CHECK(other.code() == "idempotency_key_reused");
    CHECK(world.order_count() == 1);
    CHECK(world.stock(id) == "10/9/1/0");
}

TEST_CASE("a key belongs to its caller") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const Answer mine = world.place("k1", OrderWorld::body(id, 1));
    const Answer theirs = world.place("k1", OrderWorld::body(id, 1), customer("usr_other"));
    CHECK(theirs.status == 201);
    CHECK_FALSE(theirs.replayed());
    CHECK(theirs.member("id") != mine.member("id"));
}

TEST_CASE("50 requests at once with one key place one order") {
    OrderWorld world;
    const std::string id = world.add_product("A", 100);
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < 50; ++i)
        calls.push_back(world.placing("k1", OrderWorld::body(id, 1)));
    int fresh = 0;
    for (const Answer& answer : world.run_all(std::move(calls))) {
        if (answer.status == 409) {
            CHECK(answer.code() == "idempotency_in_flight");
            CHECK(answer.headers.has("Retry-After"));
            continue;
        }
        CHECK(answer.status == 201);
        fresh += !answer.replayed();
    }
    CHECK(fresh == 1);
    CHECK(world.order_count() == 1);
    CHECK(world.stock(id) == "100/99/1/0");
    CHECK(world.place("k1", OrderWorld::body(id, 1)).replayed());
}

TEST_CASE("200 orders for the last 20 units: 20 are placed") {
    OrderWorld world;
    const std::string id = world.add_product("A", 20);
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < 200; ++i)
        calls.push_back(world.placing(fmt::format("k{}", i), OrderWorld::body(id, 1)));
    int placed = 0;
    for (const Answer& answer : world.run_all(std::move(calls))) {
        placed += answer.status == 201;
        if (answer.status != 201) CHECK(answer.code() == "out_of_stock");
    }
    CHECK(placed == 20);
    CHECK(world.order_count() == 20);
    CHECK(world.stock(id) == "20/0/20/0");
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 20);
}

TEST_CASE("a request that died is taken over under the same order id when its lease has ended") {
    const auto* point = GENERATE("order.after_claim", "order.after_reserve");
    CAPTURE(point);
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed(point);
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    const std::string order_id = world.intent_order();
    const Answer early = world.place("k1", OrderWorld::body(id, 2));
    CHECK(early.status == 409);
    CHECK(early.code() == "idempotency_in_flight");

    world.advance(lease);
    CHECK(world.place("k1", OrderWorld::body(id, 3)).status == 422);
    const Answer taken_over = world.place("k1", OrderWorld::body(id, 2));
    REQUIRE(taken_over.status == 201);
    CHECK(taken_over.member("id") == order_id);
    CHECK(world.order_count() == 1);
    CHECK(world.stock(id) == "10/8/2/0");
}

TEST_CASE("an answer that was committed but never sent is replayed") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_commit");
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    const Answer again = world.place("k1", OrderWorld::body(id, 2));
    CHECK(again.status == 201);
    CHECK(again.replayed());
    CHECK(world.order_count() == 1);
}

TEST_CASE("out of stock is not remembered: a retry succeeds when there is stock again") {
    OrderWorld world;
    const std::string id = world.add_product("A", 1);
    const Answer refused = world.place("k1", OrderWorld::body(id, 2));
    CHECK(refused.status == 409);
    CHECK(refused.code() == "out_of_stock");
    CHECK(refused.body.at("errors").at(0).at("pointer") == "/items/0");
    CHECK(world.order_count() == 0);
    world.add_product("A", 2);
    CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 201);
    CHECK(world.stock(id) == "2/0/2/0");
}

TEST_CASE("a key whose order id was released before its holder died starts anew") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    {
        const Armed armed("order.after_reserve");
        CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    }
    const std::string order_id = world.intent_order();
    const CallContext ctx(Deadline(world.clock, seconds(5)));
    REQUIRE(world.run(world.product_peer.release(ctx, order_id)));

    world.advance(lease);
    const Answer early = world.place("k1", OrderWorld::body(id, 2));
    CHECK(early.code() == "idempotency_in_flight");
    const Answer again = world.place("k1", OrderWorld::body(id, 2));
    REQUIRE(again.status == 201);
    CHECK(again.member("id") != order_id);
    CHECK(world.stock(id) == "10/8/2/0");
}

TEST_CASE("after out of stock an earlier holder's reservation cannot come late") {
    OrderWorld world;
    const std::string id = world.add_product("A", 1);
    {
        const Armed armed("order.after_claim");  // its reserve is under way, for all we know
        CHECK(world.place("k1", OrderWorld::body(id, 1)).status == 503);
    }
    const std::string order_id = world.intent_order();
    REQUIRE(world.place("k2", OrderWorld::body(id, 1)).status == 201);
    world.advance(lease);
    CHECK(world.place("k1", OrderWorld::body(id, 1)).code() == "out_of_stock");

    world.add_product("A", 2);
    const CallContext ctx(Deadline(world.clock, seconds(5)));
    std::vector<product::ReserveLine> lines;
    lines.emplace_back(id, 1);
    const auto late = world.run(world.product_peer.reserve(ctx, order_id, lines));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == "order_released");
    CHECK(world.stock(id) == "2/1/1/0");
    CHECK(world.place("k1", OrderWorld::body(id, 1)).status == 201);
}

TEST_CASE("when product does not answer, a retry goes on at once and holds stock once") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    world.product_peer.away = true;
    CHECK(world.place("k1", OrderWorld::body(id, 2)).status == 503);
    const std::string order_id = world.intent_order();
    CHECK(world.stock(id) == "10/8/2/0");  // it may have executed
    world.product_peer.away = false;
    const Answer again = world.place("k1", OrderWorld::body(id, 2));
    REQUIRE(again.status == 201);
    CHECK(again.member("id") == order_id);
    CHECK(world.stock(id) == "10/8/2/0");
}

TEST_CASE("a final refusal is remembered, byte for byte") {
    OrderWorld world;
    world.add_product("A", 10);
    const Answer first = world.place("k1", OrderWorld::body("prd_none", 1));
    CHECK(first.status == 400);
    CHECK(first.code() == "unknown_product");
    CHECK(first.body.at("errors").at(0).at("pointer") == "/items/0");
    const Answer again = world.place("k1", OrderWorld::body("prd_none", 1));
    CHECK(again.status == 400);
    CHECK(again.replayed());
    CHECK(again.text == first.text);
    CHECK(world.order_count() == 0);
}

TEST_CASE("a refusal after the hold gives the stock back") {
    OrderWorld world;
    const std::string id = world.add_product("A", 2'000'000, "8999999999");
    const std::string line = fmt::format(R"({{"product_id":"{}","quantity":1000000}})", id);
    const std::string body =
        fmt::format(R"({{"items":[{},{}],"payment":{{"token":"tok_approve"}}}})", line, line);
    const Answer refused = world.place("k1", body);
    CHECK(refused.status == 400);
    CHECK(refused.code() == "amount_too_large");
    CHECK(world.stock(id) == "2000000/2000000/0/0");
}

TEST_CASE("bad requests are refused before anything happens") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const auto code = [&](const std::string& body) { return world.place("k1", body).code(); };
    CHECK(code("{") == "malformed_json");
    CHECK(code(OrderWorld::body(id, 0)) == "validation_failed");
    CHECK(code(OrderWorld::body(id, 1'000'001)) == "validation_failed");
    CHECK(code(R"({"items":[],"payment":{"token":"tok_a"}})") == "validation_failed");
    CHECK(code(OrderWorld::body(id, 1, "visa")) == "validation_failed");
    const Answer card = world.place("k1", OrderWorld::body(id, 1, "4242 4242 4242 4242"));
    CHECK(card.status == 422);
    CHECK(card.code() == "card_number_refused");
    CHECK(card.text.find("4242") == std::string::npos);
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 0);
    CHECK(world.place("k1", OrderWorld::body(id, 1)).status == 201);
}

TEST_CASE("somebody else's order does not exist, unless one may read all") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 1)).member("id");
    CHECK(world.orders.get("/api/orders/{id}", order, customer("usr_other")).status == 404);
    CHECK(world.orders.get("/api/orders/{id}", order, admin()).status == 200);
    CHECK(world.orders.get("/api/orders/{id}", "ord_none", customer()).status == 404);
}

TEST_CASE("an order's ETag changes with its state") {
    OrderWorld world;
    const std::string id = world.add_product("A", 10);
    const std::string order = world.place("k1", OrderWorld::body(id, 1)).member("id");
    http::Headers headers;
    headers.add(
        "If-None-Match", world.orders.get("/api/orders/{id}", order, customer()).headers.get("ETag")
    );
    const auto poll = [&] {
        return world
            .run(world.orders.call(
                http::Method::get, "/api/orders/{id}", order, customer(), "", headers
            ))
            .status;
    };
    CHECK(poll() == 304);
    REQUIRE(world.captured(order));
    CHECK(poll() == 200);
}

TEST_CASE("a customer's list shows all own orders, newest first, page by page") {
    OrderWorld world;
    const std::string id = world.add_product("A", 100);
    std::vector<std::string> placed;
    for (int i = 0; i < 5; ++i) {
        placed.push_back(world.place(fmt::format("k{}", i), OrderWorld::body(id, 1)).member("id"));
        world.clock.advance(milliseconds(1));
    }
    world.place("k1", OrderWorld::body(id, 1), customer("usr_other"));
    std::vector<std::string> seen;
    std::string target = "?limit=2";
    for (;;) {
        const Answer page = world.orders.get("/api/orders", target, customer());
        REQUIRE(page.status == 200);
        for (const auto& order : page.body.at("data").as_array())
            seen.emplace_back(order.at("id").as_string());
        if (!page.body.at("has_more").as_bool()) break;
        target = "?limit=2&cursor=" + page.member("next_cursor");
    }
    CHECK(seen == std::vector<std::string>(placed.rbegin(), placed.rend()));
}
