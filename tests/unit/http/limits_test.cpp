// What a server bounds: connections, requests in flight, time. No assertion looks at a clock: the
// virtual one moves only when the test says so.
#include "base/virtual_clock.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

namespace {

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server whose time stands still. A sweep takes place each time that the clock moves.
struct Still {
    explicit Still(Routes routes) : server(std::move(routes), options(), nullptr, &clock) {}
    ~Still() { server.stop(); }
    static ServerOptions options() {
        ServerOptions out;
        out.limits.header_timeout = milliseconds(10'000);
        out.limits.body_timeout = milliseconds(30'000);
        out.limits.idle_timeout = milliseconds(60'000);
        return out;
    }
    /// Moves on in the server's own steps.
    void pass(seconds time) {
        for (milliseconds gone(0); gone < time; gone += milliseconds(500)) {
            REQUIRE(eventually([&] { return clock.sleepers() > 0; }));
            clock.advance(milliseconds(500));
        }
        REQUIRE(eventually([&] { return clock.sleepers() > 0; }));
    }
    base::VirtualClock clock;
    TestServer server;
};

/// Connections that the server has, by its own count: one more fits when they are gone.
bool has_room(std::uint16_t port) {
    Wire wire(port);
    wire.send(hello);
    return status_of(wire.response()) == 200;
}

}  // namespace

TEST_CASE("half a head gets 408 when its time is up", "[limits]") {
    Shop shop;
    Still still(shop.routes());
    Wire wire(still.server.port());
    wire.send(hello + "GET /hello HTTP/1.1\r\nHost");
    CHECK(status_of(wire.response()) == 200);
    still.pass(seconds(11));
    auto response = wire.response();
    CHECK(status_of(response) == 408);
    CHECK(field_of(response, "Connection") == "close");
    still.pass(seconds(2));
    CHECK(wire.closed());
}

TEST_CASE("dripping bytes buys no time", "[limits]") {
    Shop shop;
    Still still(shop.routes());
    Wire wire(still.server.port());
    wire.send("GET /");
    for (int i = 0; i < 6; ++i) {
        still.pass(seconds(2));
        wire.send("a");
    }
    CHECK(status_of(wire.response()) == 408);
}

TEST_CASE("half a body gets 408 when its time is up", "[limits]") {
    Shop shop;
    Still still(shop.routes());
    Wire wire(still.server.port());
    wire.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    );
    REQUIRE(wire.response() == "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send("ab");
    still.pass(seconds(31));
    CHECK(status_of(wire.response()) == 408);
    CHECK(shop.echoes == 0);
}

TEST_CASE("an idle connection is closed without a word", "[limits]") {
    Shop shop;
    Still still(shop.routes());
    Wire wire(still.server.port());
    wire.send(hello);
    CHECK(status_of(wire.response()) == 200);
    still.pass(seconds(50));
    wire.send(hello);  // still there
    CHECK(status_of(wire.response()) == 200);
    still.pass(seconds(61));
    CHECK(wire.closed());
}

TEST_CASE("connections are counted, and counted off", "[limits]") {
    Shop shop;
    ServerOptions options;
    SECTION("in all") {
        options.limits.connections = 3;
    }
    SECTION("by address") {
        options.limits.connections_per_address = 3;
    }
    TestServer server(shop.routes(), options);
    std::vector<std::unique_ptr<Wire>> wires;
    for (int i = 0; i < 3; ++i) {
        auto& wire = *wires.emplace_back(std::make_unique<Wire>(server.port()));
        wire.send(hello);
        REQUIRE(status_of(wire.response()) == 200);
    }
    Wire fourth(server.port());
    auto refused = fourth.rest();
    CHECK(status_of(refused) == 503);
    CHECK(field_of(refused, "Retry-After") == "1");
    wires.pop_back();
    CHECK(eventually([&] { return has_room(server.port()); }));
}

TEST_CASE("a reset in a body leaves nothing behind", "[limits]") {
    Shop shop;
    ServerOptions options;
    options.limits.connections = 2;
    options.limits.in_flight = 2;
    TestServer server(shop.routes(), options);
    for (int i = 0; i < 20; ++i) {
        REQUIRE(eventually([&] { return has_room(server.port()); }));
        Wire wire(server.port());
        wire.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
        wire.reset();
    }
    CHECK(eventually([&] { return has_room(server.port()); }));
    CHECK(shop.echoes == 0);
}

TEST_CASE("clients that drip their bodies keep nobody's work out", "[limits]") {
    Shop shop;
    ServerOptions options;
    options.limits.in_flight = 10;
    TestServer server(shop.routes(), options);
    std::vector<std::unique_ptr<Wire>> drips;
    for (int i = 0; i < 20; ++i) {
        auto& wire = *drips.emplace_back(std::make_unique<Wire>(server.port()));
        wire.send(
            "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        );
        REQUIRE(wire.response() == "HTTP/1.1 100 Continue\r\n\r\n");
    }
    CHECK(has_room(server.port()));
}

TEST_CASE("a client that does not read its answers is cut off", "[limits]") {
    Routes routes;
    routes.push_back(Route(
        Method::get,
        "/big",
        Access::everyone(),
        "More than the sockets hold",
        [](const CallContext&, const Request&) -> Task<Result<Response>> {
            co_return Response(200, "text/plain", std::string(16 << 20, 'a'));
        }
    ));
    ServerOptions options;
    options.limits.write_timeout = milliseconds(50);
    options.limits.connections = 1;
    TestServer server(std::move(routes), options);
    Wire wire(server.port());
    wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(eventually([&] {
        Wire next(server.port());
        next.send("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
        return status_of(next.response()) == 404;
    }));
}

TEST_CASE("too many requests in flight are refused before their body is read", "[limits]") {
    std::atomic<bool> released = false;
    std::atomic<int> started = 0;
    struct Slow {
        static Task<Result<Response>> wait(std::atomic<bool>* released, std::atomic<int>* started) {
            ++*started;
            while (!*released)
                co_await base::system_clock().sleep(milliseconds(1));
            co_return Response::no_content();
        }
    };
    const auto handler = [&](const CallContext&, const Request&) {
        return Slow::wait(&released, &started);
    };
    Routes routes;
    routes.push_back(Route(Method::post, "/browse", Access::everyone(), "", handler));
    routes.push_back(
        Route(Method::post, "/pay", Access::everyone(), "", handler).rate(RateClass::checkout)
    );
    routes.push_back(
        Route(Method::post, "/probe", Access::everyone(), "", handler).rate(RateClass::none)
    );
    ServerOptions options;
    options.limits.in_flight = 10;
    TestServer server(std::move(routes), options);
    std::vector<std::unique_ptr<Wire>> wires;
    const auto start = [&](std::string_view path) {
        auto& wire = *wires.emplace_back(std::make_unique<Wire>(server.port()));
        wire.send(
            "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        );
    };
    const auto refused = [&](std::string_view path) {
        Wire wire(server.port());  // it never sends its body
        wire.send(
            "POST " + std::string(path) +
            " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n"
        );
        auto response = wire.response();
        if (status_of(response) == 503) CHECK(field_of(response, "Retry-After") == "1");
        return status_of(response) == 503;
    };
    for (int i = 0; i < 9; ++i)
        start("/browse");
    REQUIRE(eventually([&] { return started == 9; }));
    CHECK(refused("/browse"));
    start("/pay");
    REQUIRE(eventually([&] { return started == 10; }));
    CHECK(refused("/pay"));
    start("/probe");
    REQUIRE(eventually([&] { return started == 11; }));
    released = true;
    for (auto& wire : wires)
        CHECK(status_of(wire->response()) == 204);
    CHECK_FALSE(refused("/browse"));
}
