#include "souk/id.hpp"
#include "unit/order/support.hpp"

using namespace souk;
using namespace souk::test;

namespace {

struct Sale {
    Sale() = default;
    std::string ref = "536365";
    std::string customer = make_id("usr", Timestamp());
    std::string placed_at = "2010-12-01T08:26:00Z";
    std::string price = "255";
    int quantity = 6;
    std::string to_json(const std::string& product_id) const {
        return fmt::format(
            R"({{"source":"retail","external_ref":"{}","customer_id":"{}","placed_at":"{}",)"
            R"("currency":"GBP","items":[{{"product_id":"{}","quantity":{},)"
            R"("unit_amount_decimal":"{}"}}],"payment":{{"token":"tok_approve"}}}})",
            ref,
            customer,
            placed_at,
            product_id,
            quantity,
            price
        );
    }
};

}  // namespace

TEST_CASE("an import places an order at its own price and time, and is audited") {
    OrderWorld world;
    const std::string id = world.add_product("A", 100, "999");
    Sale sale;
    sale.price = "0.5";
    sale.quantity = 3;
    const Answer placed = world.import("r/1", sale.to_json(id));
    REQUIRE(placed.status == 201);
    CHECK(placed.body.at("total").at("amount") == 2);
    CHECK(placed.member("placed_at") == "2010-12-01T08:26:00.000Z");
    CHECK(placed.member("number").starts_with("SO-101201-"));
    CHECK(world.stock(id) == "100/97/3/0");
    CHECK(world.orders.text("SELECT imported_by FROM orders") == "usr_importer");
    CHECK(world.orders.text("SELECT user_id FROM orders") == sale.customer);
    const Answer replay = world.import("r/1", sale.to_json(id));
    CHECK(replay.status == 201);
    CHECK(replay.replayed());
    REQUIRE(world.captured(placed.member("id")));
    CHECK(world.relay() == "order.placed@1 order.paid@2");
}

TEST_CASE("one sale imported under two keys is one order") {
    OrderWorld world;
    const std::string id = world.add_product("A", 6);  // exactly what is sold
    const Sale sale;
    const Answer first = world.import("r/1", sale.to_json(id));
    REQUIRE(first.status == 201);
    const Answer second = world.import("r/2", " " + sale.to_json(id));
    CHECK(second.status == 200);
    CHECK(second.replayed());
    CHECK(second.text == first.text);
    CHECK(world.order_count() == 1);
    CHECK(world.stock(id) == "6/0/6/0");

    Sale other = sale;
    other.quantity = 5;
    const Answer taken = world.import("r/3", other.to_json(id));
    CHECK(taken.status == 409);
    CHECK(taken.code() == "external_ref_taken");
    CHECK(world.import("r/3", other.to_json(id)).replayed());
    CHECK(world.order_count() == 1);
}

TEST_CASE("one sale imported under many keys at once is one order and holds its stock once") {
    OrderWorld world;
    const std::string id = world.add_product("A", 1000);
    const Sale sale;
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < 20; ++i) {
        http::Headers headers;
        headers.add("Idempotency-Key", fmt::format("r/{}", i));
        calls.push_back(world.orders.call(
            http::Method::post,
            "/api/orders/import",
            "",
            OrderWorld::importer(),
            sale.to_json(id),
            headers
        ));
    }
    int created = 0;
    for (const Answer& answer : world.run_all(std::move(calls))) {
        created += answer.status == 201;
        if (answer.status != 201) CHECK(answer.status == 200);
    }
    CHECK(created == 1);
    CHECK(world.order_count() == 1);
    CHECK(world.stock(id) == "1000/994/6/0");
}

TEST_CASE("the summary counts what was imported from one source") {
    OrderWorld world;
    const std::string id = world.add_product("A", 1000);
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i) {
        Sale sale;
        sale.ref = std::to_string(i);
        ids.push_back(world.import(sale.ref, sale.to_json(id)).member("id"));
    }
    REQUIRE(world.place("k1", OrderWorld::body(id, 1)).status == 201);  // of no source
    REQUIRE(world.captured(ids[0]));
    REQUIRE(world.captured(ids[1]));
    REQUIRE(world.declined(ids[2]));
    const Answer answer =
        world.orders.get("/api/orders/import/summary", "?source=retail", OrderWorld::importer());
    REQUIRE(answer.status == 200);
    CHECK(
        answer.text == R"({"orders":{"placed":4,"pending":1,"paid":2,"cancelled":1},"units":12,)"
                       R"("value":{"amount":3060,"currency":"GBP"},"lines":2})"
    );
    const Answer none =
        world.orders.get("/api/orders/import/summary", "?source=x", OrderWorld::importer());
    CHECK(none.body.at("orders").at("placed") == 0);
    CHECK(world.orders.get("/api/orders/import/summary", "", OrderWorld::importer()).status == 400);
}

TEST_CASE("an import from the future, in another currency or of nobody is refused") {
    OrderWorld world;
    const std::string id = world.add_product("A", 100);
    const auto pointer = [&](const Sale& sale, std::string body = "") {
        const Answer answer = world.import("r/1", body.empty() ? sale.to_json(id) : body);
        CHECK(answer.status == 400);
        return std::string(answer.body.at("errors").at(0).at("pointer").as_string());
    };
    Sale sale;
    sale.placed_at = "2027-01-01T00:00:00Z";
    CHECK(pointer(sale) == "/placed_at");
    sale.placed_at = "yesterday";
    CHECK(pointer(sale) == "/placed_at");
    sale = Sale();
    sale.customer = "nobody";
    CHECK(pointer(sale) == "/customer_id");
    sale = Sale();
    sale.price = "-1";
    CHECK(pointer(sale) == "/items/0/unit_amount_decimal");
    sale = Sale();
    std::string euros = sale.to_json(id);
    euros.replace(euros.find("GBP"), 3, "EUR");
    CHECK(pointer(sale, euros) == "/currency");
    CHECK(world.orders.number("SELECT COUNT(*) FROM intents") == 0);
}
