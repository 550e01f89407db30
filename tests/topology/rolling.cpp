// A process is replaced by its successor under load (`souk serve --takeover`), and no client sees
// it: clients that keep their connections, never try anything twice, and send all the time.
#include "base/system_clock.hpp"
#include "http/client_connection.hpp"
#include "support/services.hpp"
#include "support/shop.hpp"
#include "support/split_shop.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

using namespace souk;
using namespace souk::test;
using std::chrono::steady_clock;

namespace {

constexpr int clients = 8;
constexpr int replacements = 3;
constexpr milliseconds between_requests{5};
constexpr std::chrono::seconds before_time{3};
constexpr seconds patience{10};  // for one answer; the bound of a failed request
constexpr std::size_t max_answer = 1024 * 1024;

/// What clients without retries saw.
struct Seen {
    std::vector<std::string> failures;
    std::vector<std::string> orders;  // those that were answered with 201
    std::vector<double> before_ms;
    std::vector<double> during_ms;
};

double p99(std::vector<double> times) {
    if (times.empty()) return 0;
    std::sort(times.begin(), times.end());
    return times[times.size() * 99 / 100];
}

/// Customers who look at products, order, and look at their orders, until they are stopped.
class Load {
public:
    explicit Load(const Shop& shop)
        : port_(shop.process().port())
        , product_(shop.add_products({Article("MUG", 1'000'000, "500")}).at("MUG")) {
        const auto customers = shop.add_customers(clients);
        for (const std::string& customer : customers)
            tokens_.push_back(shop.token(customer));
        thread_ = std::thread([this] { run(); });
    }
    ~Load() { stop(); }

    /// From now on something is replaced.
    void disturb() { disturbed_ = true; }
    const Seen& stop() {
        stopping_ = true;
        if (thread_.joinable()) thread_.join();
        return seen_;
    }
    const std::string& token(std::size_t client) const { return tokens_[client]; }
    const std::map<std::string, std::size_t>& buyers() const { return buyers_; }

private:
    void run() {
        asio::io_context context(1);
        for (std::size_t i = 0; i < clients; ++i)
            spawn(context.get_executor(), [this, i, &context] {
                return shop_on(i, context.get_executor());
            });
        context.run();
    }

    Task<void> shop_on(std::size_t client, Executor executor) {
        http::ClientConnection connection(executor, max_answer);
        Clock& clock = base::system_clock();
        std::string order;
        for (int i = 0; !stopping_; ++i) {
            std::string key = "rolling-" + std::to_string(client) + '-' + std::to_string(i);
            Outgoing request = Shop::order_request(tokens_[client], key, Wish(product_, 1));
            if (i % 3 != 0) {
                request.method = http::Method::get;
                request.target =
                    i % 3 == 2 && !order.empty() ? "/api/orders/" + order : "/api/products?limit=5";
                request.body.clear();
                request.headers = Shop::headers(tokens_[client]);
            }
            const bool disturbed = disturbed_;
            const auto start = steady_clock::now();
            auto answer = co_await ask(connection, request);
            const std::chrono::duration<double, std::milli> time = steady_clock::now() - start;
            (disturbed ? seen_.during_ms : seen_.before_ms).push_back(time.count());
            const int wanted = i % 3 == 0 ? 201 : 200;
            if (!answer) {
                seen_.failures.push_back(request.target + ": " + answer.error().detail);
            } else if (answer->status != wanted) {
                seen_.failures.push_back(
                    request.target + ": " + std::to_string(answer->status) + " " + answer->body
                );
            } else if (wanted == 201) {
                order = std::string(parse(*answer).at("id").as_string());
                seen_.orders.push_back(order);
                buyers_[order] = client;
            }
            co_await clock.sleep(between_requests);
        }
    }

    /// Once, and without a look whether the server has hung up meanwhile: it has to say so in its
    /// last answer.
    Task<Result<http::Response>> ask(http::ClientConnection& connection, const Outgoing& request) {
        if (!connection.is_open()) {
            const asio::ip::tcp::endpoint to(asio::ip::address_v4::loopback(), port_);
            auto connected = co_await connection.connect(to, nullptr, "");
            if (!connected) co_return connected.error();
        }
        std::string bytes;
        http::write_request(
            bytes, request.method, request.target, "localhost", request.headers, request.body
        );
        co_return co_await connection.exchange(bytes, false);
    }

    const std::uint16_t port_;
    const std::string product_;
    std::vector<std::string> tokens_;
    std::map<std::string, std::size_t> buyers_;  // of orders
    std::atomic<bool> disturbed_ = false;
    std::atomic<bool> stopping_ = false;
    Seen seen_;
    std::thread thread_;
};

/// The first failures in words; empty when there are none.
std::string first_of(const std::vector<std::string>& failures) {
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(failures.size(), 5); ++i)
        out += failures[i] + '\n';
    return out;
}

void check_nothing_was_seen(const Shop& shop, Load& load, const std::string& what) {
    const Seen& seen = load.stop();
    INFO(first_of(seen.failures));
    CHECK(seen.failures.size() == 0);
    CHECK_FALSE(seen.during_ms.empty());
    for (const auto& [order, client] : load.buyers())
        CHECK(shop.settled_order(load.token(client), order).at("status") == "paid");
    CHECK(shop.captures().size() == seen.orders.size());
    CHECK(faults_of(shop.verify()) == "");
    const double before = p99(seen.before_ms);
    const double during = p99(seen.during_ms);
    std::cout << what << ": " << seen.before_ms.size() << " requests before, p99 " << before
              << " ms; " << seen.during_ms.size() << " while it was replaced, p99 " << during
              << " ms, worst " << *std::max_element(seen.during_ms.begin(), seen.during_ms.end())
              << " ms; ratio of p99 " << during / before << '\n';
    CHECK(during < std::chrono::duration<double, std::milli>(patience).count());
}

}  // namespace

TEST_CASE("the whole shop is replaced under load, and no client sees it", "[rolling]") {
    Shop shop(Services::shared().fresh_shop(), {});
    shop.start();
    const auto port = shop.process().port();
    const auto metrics_port = shop.process().metrics_port();
    Load load(shop);
    std::this_thread::sleep_for(before_time);
    load.disturb();
    for (int i = 0; i < replacements; ++i) {
        const int code = shop.process().replace();
        INFO(shop.process().log());
        CHECK(code == 0);
        CHECK(shop.process().port() == port);
        CHECK(shop.process().metrics_port() == metrics_port);
    }
    check_nothing_was_seen(shop, load, "the whole shop");
    CHECK(shop.process().stop() == 0);
    CHECK_FALSE(std::filesystem::exists(shop.process().data() / "souk.json"));
    CHECK_FALSE(std::filesystem::exists(shop.process().data() / "handover.sock"));
}

TEST_CASE(
    "each process of the split shop is replaced under load, and no client sees it", "[rolling]"
) {
    Shop shop(InParts(), {});
    shop.start();
    Load load(shop);
    std::this_thread::sleep_for(before_time);
    load.disturb();
    for (const std::string_view role : roles) {
        INFO(role);
        CHECK(shop.parts().process(role).replace() == 0);
    }
    check_nothing_was_seen(shop, load, "the split shop");
}

TEST_CASE("a successor that dies before it is ready leaves the server as it is", "[rolling]") {
    Shop shop(Services::shared().fresh_shop(), {});
    shop.start();
    SECTION("it cannot start") {
        const auto failed =
            shop.process().run("serve", {"--takeover", "--set", "redis.password_file=/nowhere"});
        INFO(failed.out);
        CHECK(failed.code == 1);
    }
#ifdef SOUK_FAILPOINTS
    SECTION("it dies when it has the sockets") {
        ::setenv("SOUK_FAILPOINTS", "handover.before_ready=crash", 1);
        const auto failed = shop.process().run("serve", {"--takeover"});
        ::unsetenv("SOUK_FAILPOINTS");
        INFO(failed.out);
        CHECK(failed.code == 128 + SIGKILL);
    }
#endif
    CHECK(shop.process().running());
    CHECK(run_souk({"healthcheck", "--data", shop.process().data().string()}).code == 0);
    CHECK(shop.process().get("/api/products").status == 200);
    CHECK(shop.process().replace() == 0);  // the next one is
    CHECK(shop.process().get("/api/products").status == 200);
}

#ifdef SOUK_FAILPOINTS
TEST_CASE("a successor goes on when the server dies in between", "[rolling]") {
    Shop shop(Services::shared().fresh_shop(), {});
    shop.start({{"SOUK_FAILPOINTS", "handover.before_leaving=crash"}});
    const auto port = shop.process().port();
    shop.process().set_environment({});
    CHECK(shop.process().replace() == 128 + SIGKILL);
    CHECK(shop.process().port() == port);
    CHECK(shop.process().get("/api/products").status == 200);
    CHECK(shop.process().replace() == 0);
    CHECK(shop.process().stop() == 0);
}
#endif

TEST_CASE("without a server to take over from, one simply starts", "[rolling]") {
    Shop shop(Services::shared().fresh_shop(), {"--takeover"});
    shop.start();
    CHECK(shop.process().get("/api/products").status == 200);
    shop.process().kill_hard();  // leaves its sockets' files behind
    shop.start();
    CHECK(shop.process().get("/api/products").status == 200);
    CHECK(shop.process().stop() == 0);
}

TEST_CASE("the embedded databases are not taken over", "[rolling]") {
    const TempFolder folder;
    const auto refused =
        run_souk({"serve", "--takeover", "--data", (folder.path() / "shop").string(), "--port", "0"}
        );
    CHECK(refused.code != 0);
    CHECK_THAT(refused.out, Catch::Contains("belong to one process at a time"));
}
