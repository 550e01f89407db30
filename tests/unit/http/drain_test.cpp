// What a client without retries sees of a server that stops, and of one whose listening sockets are
// handed on to a successor: nothing.
#include "support.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <future>
#include <list>
#include <optional>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

namespace {

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr int crowd = 30;

ServerOptions with_grace(milliseconds grace) {
    ServerOptions out;
    out.limits.drain_grace = grace;
    return out;
}

/// Keeps a thread busy until the test lets it go on: what arrives meanwhile waits in the kernel.
class Busy {
public:
    explicit Busy(const Executor& executor) {
        std::promise<void> started;
        auto running = started.get_future();
        asio::post(executor, [this, &started] {
            started.set_value();
            held_.get_future().wait();
        });
        running.wait();
    }
    void end() { held_.set_value(); }

private:
    std::promise<void> held_;
};

/// Connections that have each sent a request.
std::list<Wire> askers(std::uint16_t port) {
    std::list<Wire> out;
    for (int i = 0; i < crowd; ++i)
        out.emplace_back(port).send(hello);
    return out;
}

int answered(std::list<Wire>& wires) {
    int count = 0;
    for (Wire& wire : wires)
        if (body_of(wire.response()) == "hello") ++count;
    return count;
}

/// From its construction on the server knows that it is to stop; ends when it has.
class Stopping {
public:
    explicit Stopping(TestServer& server)
        : done_(asio::co_spawn(
              loop_.executor(),
              server.server().stop(Deadline(server.clock(), seconds(5))),
              asio::use_future
          )) {
        asio::post(loop_.executor(), asio::use_future).get();  // stop() has told the threads
    }
    ~Stopping() { done_.wait(); }

private:
    Loop loop_;
    std::future<void> done_;
};

}  // namespace

TEST_CASE("who waits in the queue of a socket that is handed on is the successor's", "[drain]") {
    Shop old_shop;
    Shop new_shop;
    const std::size_t threads = GENERATE(1, 2);
    std::unique_ptr<TestServer> successor;
    std::list<Wire> waiting;
    {
        TestServer server(old_shop.routes(), {}, nullptr, nullptr, threads);
        auto sockets = server.server().descriptors();
        REQUIRE(sockets.size() == threads);
        server.server().hand_on();
        server.stop();
        waiting = askers(server.port());  // nobody accepts now
        successor = std::make_unique<TestServer>(
            new_shop.routes(), ServerOptions(), nullptr, nullptr, threads, std::move(sockets)
        );
        CHECK(successor->port() == server.port());
    }
    CHECK(answered(waiting) == crowd);
    CHECK(new_shop.hellos == crowd);
    CHECK(old_shop.hellos == 0);
}

TEST_CASE("a hand-over under load is seen by nobody", "[drain]") {
    Shop shop;
    TestServer server(shop.routes());
    Busy busy(server.executor());
    auto waiting = askers(server.port());
    TestServer successor(shop.routes(), {}, nullptr, nullptr, 2, server.server().descriptors());
    server.server().hand_on();
    Stopping stopping(server);
    busy.end();
    auto later = askers(server.port());
    CHECK(answered(waiting) == crowd);
    CHECK(answered(later) == crowd);
    CHECK(shop.hellos == 2 * crowd);
    waiting.clear();
    later.clear();
}

TEST_CASE("all adopted sockets are accepted on, whatever their number", "[drain]") {
    Shop shop;
    const std::size_t sockets = GENERATE(1, 2, 3, 5);
    const std::size_t threads = GENERATE(1, 2, 4);
    TestServer first(shop.routes(), {}, nullptr, nullptr, sockets);
    TestServer second(shop.routes(), {}, nullptr, nullptr, threads, first.server().descriptors());
    CHECK(second.server().descriptors().size() == sockets);
    first.server().hand_on();
    first.stop();
    auto waiting = askers(second.port());
    CHECK(answered(waiting) == crowd);
}

TEST_CASE("only listening TCP sockets are adopted", "[drain]") {
    Shop shop;
    std::vector<Descriptor> sockets;
    SECTION("one that does not listen") {
        sockets.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
    }
    SECTION("a file") {
        sockets.emplace_back(::open("/dev/null", O_RDWR));
    }
    CHECK_THROWS_WITH(
        TestServer(shop.routes(), {}, nullptr, nullptr, 1, std::move(sockets)),
        Catch::Contains("no listening TCP sockets")
    );
}

TEST_CASE("who waits in the queue of a server that stops is answered", "[drain]") {
    Shop shop;
    TestServer server(shop.routes());
    Busy busy(server.executor());
    auto waiting = askers(server.port());
    Stopping stopping(server);
    busy.end();
    CHECK(answered(waiting) == crowd);
    waiting.clear();
}

TEST_CASE("a kept connection may send one request more", "[drain]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire kept(server.port());
    Wire fresh(server.port());  // has sent nothing yet
    Wire first(server.port());
    kept.send(hello);
    REQUIRE(body_of(kept.response()) == "hello");
    Stopping stopping(server);
    for (Wire* wire : {&kept, &fresh, &first}) {
        wire->send(hello);
        const auto response = wire->response();
        CHECK(body_of(response) == "hello");
        CHECK(field_of(response, "Connection") == "close");
        CHECK(wire->closed());
    }
}

TEST_CASE("a kept connection that sends nothing ends when its grace does", "[drain]") {
    Shop shop;
    const milliseconds grace(GENERATE(0, 40));
    TestServer server(shop.routes(), with_grace(grace));
    Wire kept(server.port());
    kept.send(hello);
    REQUIRE(body_of(kept.response()) == "hello");
    server.stop();
    CHECK(kept.closed());
    CHECK_FALSE(kept.was_reset());
}

TEST_CASE("a request that has arrived is answered, however late it is", "[drain]") {
    Shop shop;
    for (int i = 0; i < 10; ++i) {  // the order in which a thread hears of both varies
        TestServer server(shop.routes(), with_grace(milliseconds(0)));
        std::optional<Wire> kept(server.port());
        kept->send(hello);
        REQUIRE(body_of(kept->response()) == "hello");
        Busy busy(server.executor());
        kept->send(hello);
        Stopping stopping(server);
        busy.end();
        const auto response = kept->response();
        kept.reset();
        CHECK(body_of(response) == "hello");
        CHECK(field_of(response, "Connection") == "close");
    }
}

TEST_CASE("requests that were sent together are all answered", "[drain]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire pipelining(server.port());
    Busy busy(server.executor());
    pipelining.send(hello + hello + hello);
    Stopping stopping(server);
    busy.end();
    for (const bool last : {false, false, true}) {
        const auto response = pipelining.response();
        CHECK(body_of(response) == "hello");
        CHECK((field_of(response, "Connection") == "close") == last);
    }
    CHECK(pipelining.closed());
}
