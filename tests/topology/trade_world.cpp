#include "trade_world.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <map>
#include <random>

namespace souk::test {
namespace {

std::vector<std::string> on_steady_port() {
    return {"--set", fmt::format("http.port={}", steady_port())};
}

/// In small steps, so that a test can strike between them.
std::vector<std::string> in_small_batches() {
    std::vector<std::string> args = on_steady_port();
    args.insert(args.end(), {"--set", "bus.batch=16"});
    return args;
}

}  // namespace

// One below the range from which the system takes
// the clients' own, or a client that tries again would sooner or later be connected to itself.
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

Trade::Trade(std::filesystem::path file) : file_(std::move(file)), shop_(on_steady_port()) {
    prepare();
}

Trade::Trade(std::filesystem::path file, InParts parts)
    : file_(std::move(file)), shop_(parts, in_small_batches()) {
    prepare();
}

Trade::Trade(std::filesystem::path file, Environment stack)
    : file_(std::move(file)), shop_(std::move(stack), in_small_batches()) {
    prepare();
}

void Trade::prepare() {
    shop_.start();
    const Finished seeded = shop_.process().run(
        "seed",
        {"--account",
         "importer@shop.example",
         "--role",
         "importer",
         "--credentials",
         credentials_.string()}
    );
    INFO(seeded.out);
    REQUIRE(seeded.code == 0);
    const Finished imported = run("import");
    INFO(imported.out);
    REQUIRE(imported.code == 0);
}

Finished Trade::run(const std::string& command, const Shop& shop) const {
    std::vector<std::string> args = {
        command,
        "online-retail",
        file_.string(),
        "--url",
        shop.process().url(),
        "--credentials",
        credentials_.string()};
    if (command == "replay")
        args.insert(args.end(), {"--report", report_file(shop).string(), "--connections", "8"});
    return run_souk(args);
}

json::value Trade::report(const Shop& shop) const {
    std::ifstream in(report_file(shop));
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    return json::parse(text).value();
}

json::value Trade::replay() const {
    const Finished replayed = run("replay");
    INFO(replayed.out);
    REQUIRE(replayed.code == 0);
    return report();
}

std::int64_t Trade::count(std::string_view what) const {
    try {
        const std::string token = shop_.token("usr_00000000000000000000000000", "admin");
        const auto answer = shop_.process().get(
            "/api/orders/import/summary?source=online-retail", Shop::headers(token)
        );
        if (answer.status != 200) return -1;
        return parse(answer).at("orders").at(what).as_int64();
    } catch (const std::runtime_error&) {
        return -1;  // killed at this moment
    }
}

std::filesystem::path Trade::report_file(const Shop& shop) const {
    return folder_.path() / fmt::format("report-{}.json", shop.process().port());
}

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
    const auto staff = Shop::headers(shop.admin_token());  // whose answers come from no cache
    for (;;) {
        const json::value page = test::parse(shop.process().get(target, staff));
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

}  // namespace souk::test
