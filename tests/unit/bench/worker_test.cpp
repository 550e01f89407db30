#include "bench/load/worker.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace souk::bench;

namespace {

const std::string good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers what `answer` says to each request, one at a time whatever the connection; an answer
/// that is empty closes the connection.
class Server {
public:
    explicit Server(std::function<std::string(const std::string&)> answer)
        : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(bind(listener_, raw, size) == 0);
        REQUIRE(listen(listener_, 64) == 0);
        REQUIRE(getsockname(listener_, raw, &size) == 0);
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
        acceptor_ = std::jthread([this] { accept_all(); });
    }

    ~Server() {
        shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        close(listener_);
    }

    const std::string& url() const { return url_; }

private:
    void accept_all() {
        std::vector<std::jthread> threads;
        for (int client = accept(listener_, nullptr, nullptr); client >= 0;
             client = accept(listener_, nullptr, nullptr))
            threads.emplace_back([this, client] { converse(client); });
    }

    // Requests without a body, so each ends with its head; the client waits for the answer.
    void converse(int client) {
        std::string text;
        char buffer[4096];
        for (;;) {
            const ssize_t size = recv(client, buffer, sizeof buffer, 0);
            if (size <= 0) break;
            text.append(buffer, static_cast<std::size_t>(size));
            if (!text.ends_with("\r\n\r\n")) continue;
            const std::string reply = answer_one(text);
            text.clear();
            if (reply.empty() || send(client, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
        }
        close(client);
    }

    std::string answer_one(const std::string& request) {
        const std::lock_guard lock(mutex_);
        return answer_(request);
    }

    std::function<std::string(const std::string&)> answer_;
    std::mutex mutex_;
    int listener_;
    std::string url_;
    std::jthread acceptor_;
};

Plan plan_for(const Server& server, std::uint64_t count, double rate = 0) {
    Plan plan;
    plan.targets.push_back(resolve(server.url()));
    plan.requests.push_back(parse_request(R"({"path":"/{n}"})"));
    plan.expected.insert(200);
    plan.connections = 4;
    plan.threads = 1;
    plan.count = count;
    plan.rate = rate;
    plan.timeout = 30 * second;
    plan.first_number = 1000;
    return plan;
}

Totals run(const Plan& plan) {
    Worker worker(plan, 0);
    worker.connect();
    worker.run(now_ns());
    return worker.totals();
}

}  // namespace

TEST_CASE("as many requests as asked for, each with a number of its own", "[bench]") {
    std::set<std::string> seen;
    Server server([&](const std::string& request) {
        seen.insert(request.substr(0, request.find('\r')));
        return good;
    });
    const Totals totals = run(plan_for(server, 500));
    CHECK(totals.requests == 500);
    CHECK(totals.total == 500);
    CHECK(totals.latencies.count() == 500);
    CHECK(totals.statuses.at(200) == 500);
    CHECK(totals.bytes == 500 * good.size());
    CHECK(totals.faults == 0);
    CHECK(totals.reconnects == 0);
    CHECK(seen.size() == 500);
    CHECK(seen.contains("GET /0000000000000001499 HTTP/1.1"));
}

TEST_CASE("a server that stalls delays all that was due meanwhile", "[bench]") {
    int requests = 0;
    Server server([&](const std::string&) {
        if (++requests == 250) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return good;
    });
    // One answer took 200 ms; but a hundred requests were due by then, and waited for 100 ms on
    // average. With latencies counted from when a request could be sent, four would show it.
    SECTION("at a fixed rate") {
        const Totals totals = run(plan_for(server, 500, 500));
        CHECK(totals.requests == 500);
        CHECK(totals.latencies.at(0.99) > 190'000'000);
        CHECK(totals.latencies.at(0.90) > 90'000'000);
    }
    SECTION("a closed loop sees it in as many answers as it has connections") {
        const Totals totals = run(plan_for(server, 500));
        CHECK(totals.latencies.max() > 190'000'000);
        CHECK(totals.latencies.at(0.98) < totals.latencies.max() / 2);
    }
}

TEST_CASE("what goes wrong is counted, and the rest goes on", "[bench]") {
    int requests = 0;
    std::string bad;
    Server server([&](const std::string&) { return ++requests % 10 == 0 ? bad : good; });
    SECTION("another status") {
        bad = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        const Totals totals = run(plan_for(server, 100));
        CHECK(totals.requests == 90);
        CHECK(totals.statuses.at(503) == 10);
        CHECK(totals.faults == 10);
        CHECK(totals.reconnects == 0);
        CHECK(totals.first_fault.starts_with("status 503 for GET /"));
    }
    SECTION("a connection that breaks owes an answer") {
        const Totals totals = run(plan_for(server, 100));
        CHECK(totals.requests == 90);
        CHECK(totals.faults == 10);
        CHECK(totals.reconnects == 10);
    }
    SECTION("a connection that is closed in peace is opened again") {
        bad = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        const Totals totals = run(plan_for(server, 100));
        CHECK(totals.requests == 100);
        CHECK(totals.faults == 0);
        CHECK(totals.reconnects == 10);
    }
}

TEST_CASE("nobody at the other end is an error before the first request", "[bench]") {
    Plan plan;
    {
        const Server server([](const std::string&) { return good; });
        plan = plan_for(server, 1);
    }
    Worker worker(plan, 0);
    CHECK_THROWS_WITH(worker.connect(), Catch::Contains("Connection refused"));
}
