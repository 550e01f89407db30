// What becomes of an order: paid, or cancelled with everything put back; and one key, one effect.
#include "support/shop.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <set>

using namespace souk;
using test::Outgoing;
using test::Shop;
using test::Wish;

namespace {

std::string id_of(const http::Response& answer) {
    INFO(answer.status << " " << answer.body);
    REQUIRE(answer.status == 201);
    return std::string(test::parse(answer).at("id").as_string());
}

std::string status_of(const json::value& order) {
    return std::string(order.at("status").as_string());
}

void check_books(const Shop& shop) {
    CHECK(test::faults_of(shop.verify()) == "");
}

}  // namespace

TEST_CASE("a declined card: the order is cancelled, its stock is back, the customer is told") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"CUP", 5, "1250"}}).at("CUP");
    const http::Response account = shop.process().post(
        "/api/users/register",
        R"({"email":"ann@shop.example","password":"a long password","name":"Ann"})"
    );
    REQUIRE(account.status == 201);
    const std::string token(test::parse(account).at("access_token").as_string());

    const std::string id = id_of(shop.place(token, "declined", Wish(product, 3, "tok_decline")));
    const json::value order = shop.settled_order(token, id);
    CHECK(status_of(order) == "cancelled");
    CHECK(order.at("cancel_reason").as_string() == "payment_declined");
    CHECK(test::eventually(std::chrono::seconds(30), [&] { return shop.stock(product) == 5; }));
    check_books(shop);  // waits for the mail

    CHECK(shop.captures().empty());
    const auto mails = shop.mails();
    REQUIRE(mails.size() == 1);
    CHECK_THAT(mails[0], Catch::Contains("ann@shop.example"));
    CHECK_THAT(mails[0], Catch::Contains(std::string(order.at("number").as_string())));
    CHECK_THAT(mails[0], Catch::Contains("was cancelled"));
}

TEST_CASE("a provider that does not answer, charged or not: paid with one capture") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"CUP", 9, "1250"}}).at("CUP");
    const std::string token = shop.token(shop.add_customers(1).front());

    const std::string late = id_of(shop.place(token, "late", Wish(product, 2, "tok_timeout")));
    const std::string silent =
        id_of(shop.place(token, "silent", Wish(product, 1, "tok_charge_then_timeout")));
    CHECK(status_of(shop.settled_order(token, late)) == "paid");
    CHECK(status_of(shop.settled_order(token, silent)) == "paid");
    check_books(shop);

    const auto captures = shop.captures();
    CHECK(captures == std::map<std::string, int>{{late, 1}, {silent, 1}});
    CHECK(shop.stock(product) == 6);
}

TEST_CASE("paid too late: the order is cancelled, its stock is back, the money is given back") {
    Shop shop({"--set", "modules.order.payment_timeout=1s"});
    shop.start();
    const std::string product = shop.add_products({{"CUP", 9, "1250"}}).at("CUP");
    const std::string token = shop.token(shop.add_customers(1).front());

    // The provider takes the money with the third try, seconds after the order was given up.
    const std::string id = id_of(shop.place(token, "late", Wish(product, 2, "tok_timeout")));
    const json::value order = shop.settled_order(token, id);
    CHECK(status_of(order) == "cancelled");
    // Whoever learns of the refund first, the sweeper or the event, says why.
    const std::string reason(order.at("cancel_reason").as_string());
    CHECK((reason == "payment_timeout" || reason == "payment_refunded"));
    CHECK(test::eventually(std::chrono::seconds(30), [&] { return shop.stock(product) == 9; }));

    CHECK(test::eventually(std::chrono::seconds(60), [&] { return shop.refunds().contains(id); }));
    CHECK(shop.captures() == std::map<std::string, int>{{id, 1}});
    CHECK(shop.refunds() == std::map<std::string, int>{{id, 1}});
    check_books(shop);
    CHECK(status_of(shop.order(token, id)) == "cancelled");
}

TEST_CASE("an order of nothing is paid without the provider, whatever its token says") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"STICKER", 9, "0.1"}}).at("STICKER");
    const std::string token = shop.token(shop.add_customers(1).front());

    const http::Response placed = shop.place(token, "free", Wish(product, 4, "tok_decline"));
    const std::string id = id_of(placed);
    CHECK(test::parse(placed).at("total").at("amount").as_int64() == 0);
    CHECK(status_of(shop.settled_order(token, id)) == "paid");
    // One unit more and the line rounds up to a penny.
    const std::string penny = id_of(shop.place(token, "penny", Wish(product, 5)));
    CHECK(shop.settled_order(token, penny).at("total").at("amount").as_int64() == 1);
    check_books(shop);

    CHECK(shop.captures() == std::map<std::string, int>{{penny, 1}});
    CHECK(shop.stock(product) == 0);
}

TEST_CASE("one key sent fifty times at once makes one order, and every answer is the same") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"CUP", 100, "1250"}}).at("CUP");
    const std::string token = shop.token(shop.add_customers(1).front());
    const std::vector<Outgoing> requests(50, Shop::order_request(token, "one", Wish(product, 1)));

    std::set<std::string> bodies;
    std::size_t created = 0;
    std::size_t originals = 0;
    for (const http::Response& answer : test::send_all(shop.process().port(), requests, 50)) {
        INFO(answer.status << " " << answer.body);
        if (answer.status == 409) {
            REQUIRE(test::parse(answer).at("code").as_string() == "idempotency_in_flight");
            REQUIRE(answer.headers.has("Retry-After"));
            continue;
        }
        REQUIRE(answer.status == 201);
        ++created;
        if (!answer.headers.has("Idempotency-Replayed")) ++originals;
        bodies.insert(answer.body);
    }
    CHECK(created >= 1);
    CHECK(originals == 1);
    const http::Response again = shop.place(token, "one", Wish(product, 1));
    CHECK(again.status == 201);
    CHECK(again.headers.get("Idempotency-Replayed") == "true");
    bodies.insert(again.body);
    CHECK(bodies.size() == 1);

    shop.settled_order(token, id_of(again));
    const json::value verdict = shop.verify();
    CHECK(test::faults_of(verdict) == "");
    CHECK(verdict.at("counts").at("orders_paid").as_int64() == 1);
    CHECK(shop.stock(product) == 99);
}

TEST_CASE("a key belongs to its caller and to its body") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"CUP", 100, "1250"}}).at("CUP");
    const auto customers = shop.add_customers(2);
    const std::string ann = shop.token(customers[0]);
    const std::string ben = shop.token(customers[1]);

    const std::string first = id_of(shop.place(ann, "key", Wish(product, 1)));
    const http::Response reused = shop.place(ann, "key", Wish(product, 2));
    CHECK(reused.status == 422);
    CHECK(test::parse(reused).at("code").as_string() == "idempotency_key_reused");

    const http::Response other = shop.place(ben, "key", Wish(product, 2));
    CHECK_FALSE(other.headers.has("Idempotency-Replayed"));
    CHECK(id_of(other) != first);
    CHECK(shop.process().get("/api/orders/" + first, Shop::headers(ben)).status == 404);

    const http::Response keyless = shop.place(ann, "", Wish(product, 1));
    CHECK(keyless.status == 400);

    shop.settled_order(ann, first);
    shop.settled_order(ben, id_of(other));
    CHECK(shop.stock(product) == 97);
    check_books(shop);
}

TEST_CASE("killed after the commit and before the answer, the retry gets the answer of the first") {
    Shop shop;
    shop.start();
    const std::string product = shop.add_products({{"CUP", 10, "1250"}}).at("CUP");
    const std::string token = shop.token(shop.add_customers(1).front());
    shop.process().stop();
    shop.start({{"SOUK_FAILPOINTS", "order.after_commit=crash@1"}});
    if (test::in_parts()) {  // a gateway answers for the dead
        const http::Response cut = shop.place(token, "cut", Wish(product, 4));
        CHECK(cut.status == 503);
        CHECK(cut.headers.has("Retry-After"));
    } else {
        CHECK_THROWS(shop.place(token, "cut", Wish(product, 4)));
    }
    CHECK(shop.process().wait() == 128 + SIGKILL);

    shop.start({{"SOUK_FAILPOINTS", ""}});
    const http::Response retry = shop.place(token, "cut", Wish(product, 4));
    CHECK(retry.headers.get("Idempotency-Replayed") == "true");
    const std::string id = id_of(retry);
    CHECK(status_of(shop.settled_order(token, id)) == "paid");
    CHECK(shop.stock(product) == 6);
    check_books(shop);
    CHECK(shop.captures() == std::map<std::string, int>{{id, 1}});
}
