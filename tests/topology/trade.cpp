// Real trade: a file of sales imported and replayed by souk's own commands, calm and with the
// server killed on the way. The shop's figures are compared with the file's, which the test knows
// by arithmetic of its own.
#include "retail_file.hpp"
#include "support/shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <random>

using namespace souk;
using test::Finished;
using test::RetailExpectation;
using test::run_souk;
using test::Shop;
using test::TempFolder;

namespace {

constexpr int sales = 600;
constexpr int kills = 5;
constexpr std::chrono::milliseconds look_again{3};

/// A port that stays free while the server is dead: one below the range from which the system takes
/// the clients' own, or a client that tries again would sooner or later be connected to itself.
std::uint16_t steady_port() {
    std::random_device random;
    for (;;) {
        const auto port = static_cast<std::uint16_t>(20000 + random() % 10000);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        ::close(fd);
        if (free) return port;
    }
}

/// A shop on a port of its own, an importer's account, and the file that it trades.
class Trade {
public:
    explicit Trade(std::filesystem::path file)
        : file_(std::move(file))
        , credentials_(folder_.path() / "importer.json")
        , shop_({"--set", fmt::format("http.port={}", steady_port())}) {
        const Finished seeded = run_souk(
            {"seed",
             "--data",
             shop_.process().data().string(),
             "--account",
             "importer@shop.example",
             "--role",
             "importer",
             "--credentials",
             credentials_.string()}
        );
        INFO(seeded.out);
        REQUIRE(seeded.code == 0);
        shop_.start();
        const Finished imported = run("import");
        INFO(imported.out);
        REQUIRE(imported.code == 0);
    }

    Shop& shop() { return shop_; }

    /// `import`, or `replay` with a report.
    Finished run(const std::string& command) const {
        std::vector<std::string> args = {
            command,
            "online-retail",
            file_.string(),
            "--url",
            shop_.process().url(),
            "--credentials",
            credentials_.string()};
        if (command == "replay") {
            args.insert(args.end(), {"--report", report_file().string()});
            args.insert(args.end(), {"--connections", "8"});
        }
        return run_souk(args);
    }

    json::value report() const {
        std::ifstream in(report_file());
        const std::string text((std::istreambuf_iterator<char>(in)), {});
        return json::parse(text).value();
    }

    json::value replay() const {
        const Finished replayed = run("replay");
        INFO(replayed.out);
        REQUIRE(replayed.code == 0);
        return report();
    }

    /// Replays while the server is killed and started again each time another share of the sales
    /// has become orders. Returns how often that was.
    int replay_with_kills(std::int64_t orders) {
        auto replaying = std::async(std::launch::async, [this] { return run("replay"); });
        const std::string token = shop_.token("usr_00000000000000000000000000", "admin");
        int killed = 0;
        while (replaying.wait_for(look_again) != std::future_status::ready) {
            if (killed == kills || placed(token) < orders * (killed + 1) / (kills + 2)) continue;
            shop_.process().kill_hard();
            ++killed;
            shop_.start();
        }
        const Finished replayed = replaying.get();
        INFO(replayed.out);
        REQUIRE(replayed.code == 0);
        return killed;
    }

    std::int64_t placed(const std::string& token) const {
        const auto answer = shop_.process().get(
            "/api/orders/import/summary?source=online-retail", Shop::headers(token)
        );
        return test::parse(answer).at("orders").at("placed").as_int64();
    }

private:
    std::filesystem::path report_file() const { return folder_.path() / "report.json"; }

    TempFolder folder_;
    std::filesystem::path file_;
    std::filesystem::path credentials_;
    Shop shop_;
};

void check_report(
    const json::value& report, std::int64_t orders, std::int64_t units, std::int64_t pence
) {
    CHECK(report.at("agrees").as_bool());
    CHECK(report.at("orders").at("placed").as_int64() == orders);
    CHECK(report.at("orders").at("paid").as_int64() == orders);
    CHECK(report.at("orders").at("cancelled").as_int64() == 0);
    CHECK(report.at("orders").at("failed").as_int64() == 0);
    CHECK(report.at("units").as_int64() == units);
    CHECK(report.at("value").at("amount").as_int64() == pence);
    CHECK(report.at("value").at("currency").as_string() == "GBP");
}

void check_report(const json::value& report, const RetailExpectation& expected) {
    check_report(report, expected.orders, expected.units, expected.pence);
    std::map<std::string, std::int64_t> skipped;
    for (const auto& reason : report.at("skipped").as_object())
        skipped.emplace(reason.key(), reason.value().as_int64());
    CHECK(skipped == expected.skipped);
}

/// Imported with exactly what is sold: nothing is left of anything. Products counted.
std::size_t check_sold_out(const Shop& shop) {
    std::size_t count = 0;
    std::string target = "/api/products?limit=100";
    for (;;) {
        const json::value page = test::parse(shop.process().get(target));
        for (const json::value& product : page.at("data").as_array()) {
            INFO(json::serialize(product));
            CHECK(product.at("stock").as_int64() == 0);
            ++count;
        }
        if (!page.at("has_more").as_bool()) return count;
        target =
            "/api/products?limit=100&cursor=" + std::string(page.at("next_cursor").as_string());
    }
}

void check_books(const Shop& shop, std::int64_t orders, std::int64_t units, std::int64_t charged) {
    const json::value verdict = shop.verify(90);
    CHECK(test::faults_of(verdict) == "");
    CHECK(verdict.at("counts").at("orders_paid").as_int64() == orders);
    CHECK(verdict.at("counts").at("units_sold").as_int64() == units);
    CHECK(verdict.at("counts").at("units_available").as_int64() == 0);
    CHECK(verdict.at("counts").at("mails").as_int64() == orders);
    const auto captures = shop.captures();
    CHECK(static_cast<std::int64_t>(captures.size()) == charged);
    for (const auto& [order, count] : captures) {
        INFO(order);
        CHECK(count == 1);
    }
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

    CHECK(trade.replay_with_kills(expected.orders) == kills);
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
    CHECK(trade.replay_with_kills(7409) == kills);
    check_report(trade.report(), 7409, 1941311, 333259196);
    check_sold_out(trade.shop());
    check_books(trade.shop(), 7409, 1941311, 7409);
}
