// Each of the six killed by SIGKILL while real trade goes through them: whoever does not need the
// dead one goes on, whoever does is told so and when to come back, and in the end nothing is lost
// or doubled.
#include "support/services.hpp"
#include "support/split_shop.hpp"
#include "support/staged_shop.hpp"
#include "trade_world.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <csignal>
#include <future>
#include <set>
#include <thread>

using namespace souk;
using namespace souk::test;

namespace {

constexpr int sales = 600;
constexpr std::chrono::milliseconds look_again{10};
constexpr std::chrono::seconds settled{10};
constexpr std::chrono::seconds back_limit{15};  // the target is two

/// A question that only that module can answer, or nothing.
struct Question {
    std::string_view role;
    const char* target;
};
constexpr Question questions[] = {
    {"user", "/api/users/me"},
    {"product", "/api/products?limit=1"},
    {"order", "/api/orders/ord_00000000000000000000000000"},
    {"payment", "/api/payments?order_id=ord_00000000000000000000000000"}};

http::Response ask(const Shop& shop, const Question& question) {
    return shop.process().get(question.target, Shop::headers(shop.admin_token()));
}

/// 404 is the answer of a module that is there.
bool answered(const http::Response& answer) {
    return answer.status == 200 || answer.status == 404;
}

bool serves(const Shop& shop, std::string_view role) {
    for (const Question& question : questions)
        if (question.role == role && !answered(ask(shop, question))) return false;
    return true;
}

void check_meanwhile(const Shop& shop, std::string_view dead) {
    for (const Question& question : questions) {
        const auto answer = ask(shop, question);
        INFO(dead << " is dead: " << question.target << " " << answer.status << answer.body);
        if (question.role != dead) {
            CHECK(answered(answer));
            continue;
        }
        CHECK(faults_of_problem(answer, 503) == "");
        CHECK(answer.headers.has("Retry-After"));
        CHECK_THAT(answer.body, Catch::Contains(std::string(dead)));
        CHECK(test::parse(answer).at("retryable").as_bool());
    }
    CHECK(shop.process().get("/health/live").status == 200);
}

/// Starts it again; the time until it serves.
milliseconds revive(Shop& shop, std::string_view role) {
    const auto begin = std::chrono::steady_clock::now();
    shop.parts().process(role).start();
    CHECK(eventually(back_limit, [&] { return serves(shop, role); }));
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

TEST_CASE("each of the six killed during a replay takes nothing with it", "[.split]") {
    const TempFolder folder;
    const auto expected = write_retail_file(folder.path() / "trade.csv", sales);
    Trade trade(folder.path() / "trade.csv", InParts{});
    Shop& shop = trade.shop();
    // RabbitMQ 3.10 itself loses a quorum queue when its declarer dies right after the declaration.
    std::this_thread::sleep_for(settled);

    auto replaying = std::async(std::launch::async, [&trade] { return trade.run("replay"); });
    std::size_t killed = 0;
    std::string times;
    while (replaying.wait_for(look_again) != std::future_status::ready) {
        const auto share = static_cast<std::int64_t>(killed + 1);
        if (killed == roles.size() || trade.paid() < expected.orders * share / 8) continue;
        const std::string_view role = roles[killed++];
        shop.parts().process(role).kill_hard();
        if (role != "gateway") check_meanwhile(shop, role);
        times += fmt::format(" {} {} ms", role, revive(shop, role).count());
    }
    const Finished replayed = replaying.get();
    INFO(replayed.out);
    REQUIRE(replayed.code == 0);
    CHECK(killed == roles.size());
    WARN("served again after its restart (target 2000 ms):" << times);
    check_report(trade.report(), expected);
    check_sold_out(shop);
    check_books(shop, expected.orders, expected.units, expected.orders - expected.free_orders);
}

TEST_CASE("orders are taken while nobody can be told or charged, and ended later", "[.split]") {
    Shop shop(InParts{}, {});
    shop.start();
    const std::string product = shop.add_products({Article("CUP", 5, "1250")}).at("CUP");
    const std::string customer = shop.token(shop.add_customers(1).front());
    for (const char* role : {"payment", "notification", "user"})
        shop.parts().process(role).kill_hard();

    const auto placed = shop.place(customer, "key", Wish(product, 2));
    INFO(placed.body);
    REQUIRE(placed.status == 201);
    const std::string id(test::parse(placed).at("id").as_string());
    CHECK(shop.order(customer, id).at("status").as_string() == "pending");
    CHECK(shop.stock(product) == 3);

    shop.start();
    CHECK(shop.settled_order(customer, id).at("status").as_string() == "paid");
    CHECK(test::faults_of(shop.verify()) == "");
    CHECK(shop.captures() == std::map<std::string, int>{{id, 1}});
    CHECK(shop.mails().size() == 1);
}

TEST_CASE("one key, however often it is sent around a kill of order, is one order", "[.split]") {
    constexpr std::size_t crowd = 40;
    constexpr int rounds = 3;
    Shop shop(InParts{}, {});
    shop.start();
    const std::string product = shop.add_products({Article("CUP", 100, "1250")}).at("CUP");
    const std::string customer = shop.token(shop.add_customers(1).front());
    SoukProcess& order = shop.parts().process("order");
    const auto strike = [&](const char* failpoint) {
        shop.parts().set_environment("order", {{"SOUK_FAILPOINTS", failpoint}});
        order.stop();
        order.start();
    };
    std::set<std::string> ids;
    for (int round = 0; round < rounds; ++round) {
        // In the middle of the one that got there first: claimed, reserved, or written.
        const char* const deaths[rounds] = {
            "order.after_claim=crash@1",
            "order.after_reserve=crash@1",
            "order.after_commit=crash@1"};
        INFO(deaths[round]);
        strike(deaths[round]);
        shop.parts().set_environment("order", {});
        const std::string key = fmt::format("key-{}", round);
        const std::vector<Outgoing> requests(
            crowd, Shop::order_request(customer, key, Wish(product, 1))
        );
        std::set<std::string> bodies;
        const auto send = [&] {
            for (const auto& answer : send_all(shop.process().port(), requests, crowd)) {
                INFO(answer.status << answer.body);
                const bool later =
                    answer.status == 409 || answer.status == 503 || answer.status == 504;
                if (answer.status == 201) {
                    bodies.insert(answer.body);
                } else {
                    CHECK(later);
                    CHECK(answer.headers.has("Retry-After"));
                }
            }
        };
        send();
        REQUIRE(eventually(std::chrono::seconds(5), [&] { return !order.running(); }));
        CHECK(order.wait() == 128 + SIGKILL);
        // What is committed, another of the crowd may be told before the process has died.
        const bool committed = round == rounds - 1;
        CHECK(bodies.size() <= (committed ? 1 : 0));
        order.start();
        REQUIRE(eventually(std::chrono::seconds(30), [&] {
            send();
            return !bodies.empty();
        }));
        send();
        CHECK(bodies.size() == 1);
        for (const std::string& body : bodies)
            ids.insert(std::string(json::parse(body).value().at("id").as_string()));
    }
    CHECK(ids.size() == rounds);
    for (const std::string& id : ids)
        CHECK(shop.settled_order(customer, id).at("status").as_string() == "paid");
    const json::value verdict = shop.verify();
    CHECK(test::faults_of(verdict) == "");
    CHECK(verdict.at("counts").at("orders_paid").as_int64() == rounds);
    CHECK(shop.captures().size() == rounds);
    CHECK(shop.stock(product) == 100 - rounds);
}

TEST_CASE(
    "who is signed in stays so while user is dead, and who was signed out stays out", "[.split]"
) {
    Shop shop(InParts{}, {});
    shop.start();
    const auto sign_up = [&](const char* name) {
        return test::parse(shop.process().post(
            "/api/users/register",
            fmt::format(
                R"({{"email":"{0}@shop.example","password":"a long password","name":"{0}"}})", name
            )
        ));
    };
    const std::string ann(sign_up("ann").at("access_token").as_string());
    const std::string bob(sign_up("bob").at("access_token").as_string());
    const auto orders_of = [&](const std::string& token) {
        return shop.process().get("/api/orders", Shop::headers(token)).status;
    };
    CHECK(shop.process().post("/api/users/logout", "", Shop::headers(bob)).status == 204);
    REQUIRE(eventually(std::chrono::seconds(10), [&] { return orders_of(bob) == 401; }));

    shop.parts().process("user").kill_hard();
    CHECK(orders_of(ann) == 200);
    CHECK(orders_of(bob) == 401);
    const auto login = shop.process().post(
        "/api/users/login", R"({"email":"ann@shop.example","password":"a long password"})"
    );
    CHECK(faults_of_problem(login, 503) == "");

    // A gateway that starts without user knows nobody, and lets nobody in by mistake.
    shop.parts().gateway().kill_hard();
    shop.parts().gateway().launch();
    shop.parts().process("user").start();
    shop.start();
    CHECK(orders_of(ann) == 200);
    CHECK(orders_of(bob) == 401);
}
