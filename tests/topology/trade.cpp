// Real trade: a file of sales imported and replayed by souk's own commands, calm and with the
// server killed on the way. The shop's figures are compared with the file's, which the test knows
// by arithmetic of its own.
#include "trade_world.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <future>

using namespace souk;
using namespace souk::test;

namespace {

constexpr int sales = 600;
constexpr int kills = 5;
constexpr std::chrono::milliseconds look_again{3};

/// Replays while the server is killed and started again each time another share of the sales has
/// become orders. Returns how often that was.
int replay_with_kills(Trade& trade, std::int64_t orders) {
    auto replaying = std::async(std::launch::async, [&trade] { return trade.run("replay"); });
    int killed = 0;
    while (replaying.wait_for(look_again) != std::future_status::ready) {
        if (killed == kills || trade.placed() < orders * (killed + 1) / (kills + 2)) continue;
        trade.shop().process().kill_hard();
        ++killed;
        trade.shop().start();
    }
    const Finished replayed = replaying.get();
    INFO(replayed.out);
    REQUIRE(replayed.code == 0);
    return killed;
}

std::filesystem::path real_file() {
    if (const char* named = std::getenv("SOUK_RETAIL_FILE")) return named;
    return std::filesystem::path(SOUK_SOURCE_DIR) /
           "../shared/data/online-retail/online-retail-2010-12_2011-05.csv.gz";
}

}  // namespace

TEST_CASE("a file of trade becomes the same figures in the shop, and again nothing is doubled") {
    const TempFolder folder;
    const auto expected = test::write_retail_file(folder.path() / "trade.csv", sales);
    REQUIRE(expected.free_orders >= 1);
    REQUIRE(expected.skipped.size() == 5);
    Trade trade(folder.path() / "trade.csv");

    const json::value first = trade.replay();
    check_report(first, expected);
    CHECK(first.at("orders").at("duplicates").as_int64() == 0);
    CHECK(check_sold_out(trade.shop()) == expected.units_by_code.size());

    const json::value second = trade.replay();
    check_report(second, expected);
    CHECK(second.at("orders").at("duplicates").as_int64() == expected.orders);
    CHECK(trade.run("import").code == 0);  // the stock is what was ever received: no more of it
    check_sold_out(trade.shop());
    check_books(
        trade.shop(), expected.orders, expected.units, expected.orders - expected.free_orders
    );
}

TEST_CASE("a file of trade with the server killed five times on the way comes to the same") {
    const TempFolder folder;
    const auto expected = test::write_retail_file(folder.path() / "trade.csv", sales);
    Trade trade(folder.path() / "trade.csv");

    CHECK(replay_with_kills(trade, expected.orders) == kills);
    check_report(trade.report(), expected);
    check_sold_out(trade.shop());
    check_books(
        trade.shop(), expected.orders, expected.units, expected.orders - expected.free_orders
    );
}

TEST_CASE("half a year of a real shop with the server killed five times comes to the same") {
    if (!std::filesystem::exists(real_file())) {
        WARN("SKIPPED: no file of real trade; name one by SOUK_RETAIL_FILE");
        return;
    }
    Trade trade(real_file());
    CHECK(replay_with_kills(trade, 7409) == kills);
    check_report(trade.report(), 7409, 1941311, 333259196);
    check_sold_out(trade.shop());
    check_books(trade.shop(), 7409, 1941311, 7409);
}
