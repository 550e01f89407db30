// What the shop owes its customers while the servers under it die and come back, and when two of it
// share them. These tests start servers of their own, whatever SOUK_TEST_STACK says: they kill
// them.
#include "support/services.hpp"
#include "trade_world.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <future>
#include <thread>

using namespace souk;
using namespace souk::test;

namespace {

constexpr int sales = 600;
// They go on while Redis, RabbitMQ or a replica is away, and must outlast five kills.
constexpr int many_sales = 2400;
constexpr int kills = 5;
constexpr std::chrono::milliseconds look_again{10};
constexpr std::chrono::seconds settled{10};
constexpr std::chrono::seconds noticed_limit{5};
constexpr std::chrono::seconds back_limit{15};

/// Servers that the cases below kill, one case after another.
Services& mortal() {
    static Services services({Server::postgres, Server::redis, Server::rabbitmq});
    return services;
}

std::string_view name_of(Server server) {
    if (server == Server::postgres) return "PostgreSQL";
    return server == Server::redis ? "Redis" : "RabbitMQ";
}

bool ready(const Shop& shop) {
    return shop.process().get_metrics("/health/ready").status == 200;
}

http::Response ask_for_an_order(const Shop& shop) {
    const std::string token = shop.token("usr_00000000000000000000000000", "admin");
    return shop.process().get("/api/orders/ord_00000000000000000000000000", Shop::headers(token));
}

/// Without its database the shop says "later", at once; without the others it serves.
void check_meanwhile(const Shop& shop, Server dead) {
    if (dead != Server::postgres) {
        CHECK(ask_for_an_order(shop).status == 404);
        CHECK(ready(shop));
        return;
    }
    CHECK(eventually(noticed_limit, [&] { return !ready(shop); }));
    const auto answer = ask_for_an_order(shop);
    INFO(answer.body);
    CHECK(answer.status == 503);
    CHECK(answer.headers.has("Retry-After"));
}

/// Runs `disturb()` five times while `replay` goes on, each time another share of the sales is
/// paid.
template <class Disturb>
void disturb_replay(const Trade& trade, std::int64_t orders, Disturb disturb) {
    // RabbitMQ 3.10 itself loses a quorum queue when it is killed right after the first
    // declaration.
    std::this_thread::sleep_for(settled);
    auto replaying = std::async(std::launch::async, [&trade] { return trade.run("replay"); });
    int times = 0;
    while (replaying.wait_for(look_again) != std::future_status::ready) {
        if (times == kills || trade.paid() < orders * (times + 1) / (kills + 2)) continue;
        ++times;
        disturb();
    }
    const Finished replayed = replaying.get();
    INFO(replayed.out);
    REQUIRE(replayed.code == 0);
    CHECK(times == kills);
}

}  // namespace

TEST_CASE("a server killed five times during a replay takes nothing with it", "[servers]") {
    const Server server = GENERATE(Server::postgres, Server::redis, Server::rabbitmq);
    INFO(name_of(server));
    const TempFolder folder;
    const auto expected = write_retail_file(folder.path() / "trade.csv", many_sales);
    Trade trade(folder.path() / "trade.csv", mortal().fresh_shop());

    disturb_replay(trade, expected.orders, [&] {
        mortal().kill(server);
        check_meanwhile(trade.shop(), server);
        mortal().start(server);
        CHECK(eventually(back_limit, [&] { return ready(trade.shop()); }));
    });
    check_report(trade.report(), expected);
    check_sold_out(trade.shop());
    check_books(
        trade.shop(), expected.orders, expected.units, expected.orders - expected.free_orders
    );
}

TEST_CASE("two replicas take one replay together", "[servers]") {
    const TempFolder folder;
    const auto expected = write_retail_file(folder.path() / "trade.csv", sales);
    Trade trade(folder.path() / "trade.csv", mortal().fresh_shop());
    Shop second(ReplicaOf(trade.shop().process()), {});
    second.start();

    // The whole file through both at once: each sale is taken by one of them, and both see it.
    auto other = std::async(std::launch::async, [&] { return trade.run("replay", second); });
    const Finished here = trade.run("replay");
    const Finished there = other.get();
    INFO(here.out << there.out);
    REQUIRE(here.code == 0);
    REQUIRE(there.code == 0);
    const json::value reports[] = {trade.report(), trade.report(second)};
    std::int64_t duplicates = 0;
    for (const json::value& report : reports) {
        check_report(report, expected);
        duplicates += report.at("orders").at("duplicates").as_int64();
    }
    CHECK(duplicates == expected.orders);
    check_sold_out(second);
    check_books(
        trade.shop(), expected.orders, expected.units, expected.orders - expected.free_orders
    );
}

TEST_CASE("a replica that is killed leaves its work to the other", "[servers]") {
    const TempFolder folder;
    const auto expected = write_retail_file(folder.path() / "trade.csv", many_sales);
    Trade trade(folder.path() / "trade.csv", mortal().fresh_shop());
    Shop second(ReplicaOf(trade.shop().process()), {});
    second.start();

    disturb_replay(trade, expected.orders, [&] {
        second.process().kill_hard();
        second.start();
    });
    check_report(trade.report(), expected);
    check_sold_out(second);
    check_books(
        trade.shop(), expected.orders, expected.units, expected.orders - expected.free_orders
    );
}

TEST_CASE("a frozen server does not keep the shop from ending in order", "[servers]") {
    const Server server = GENERATE(Server::postgres, Server::redis, Server::rabbitmq);
    INFO(name_of(server));
    Shop shop(mortal().fresh_shop(), {});
    shop.start();
    const std::string product = shop.add_products({Article("CUP", 10, "1250")}).at("CUP");
    const std::string customer = shop.token(shop.add_customers(1).front());
    REQUIRE(shop.place(customer, "key-1", Wish(product, 1)).status == 201);

    mortal().freeze(server);  // with work of that order under way
    shop.process().send(SIGTERM);
    const int code = shop.process().wait();
    mortal().thaw(server);
    INFO(shop.process().log());
    CHECK(code == 0);

    shop.start();
    CHECK(faults_of(shop.verify()) == "");
}
