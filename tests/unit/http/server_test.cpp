// Connections over real sockets: keep-alive, pipelining, bodies, HEAD, half-close, stop.
#include "support.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <fstream>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

namespace {

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view path, std::string_view fields, std::string_view body) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n" +
           std::string(body);
}

std::filesystem::path socket_path(std::string_view name) {
    auto path = std::filesystem::temp_directory_path() /
                (std::string(name) + std::to_string(::getpid()) + ".sock");
    std::filesystem::remove(path);
    return path;
}

/// A handler that waits until the test lets it go on.
struct Hold {
    Routes routes(Clock& clock) {
        Routes out;
        out.push_back(Route(
            Method::get,
            "/slow",
            Access::everyone(),
            "Waits",
            [this, &clock](const CallContext&, const Request&) { return wait(clock); }
        ));
        return out;
    }
    Task<Result<Response>> wait(Clock& clock) {
        ++started;
        while (!released)
            co_await clock.sleep(milliseconds(1));
        co_return Response(200, "text/plain", "done");
    }
    std::atomic<int> started = 0;
    std::atomic<bool> released = false;
};

}  // namespace

TEST_CASE("a connection serves one request after the other", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    for (int i = 0; i < 3; ++i) {
        wire.send(hello);
        auto response = wire.response();
        CHECK(status_of(response) == 200);
        CHECK(body_of(response) == "hello");
        CHECK(field_of(response, "Connection").empty());
    }
    CHECK(shop.hellos == 3);
}

TEST_CASE("every response carries what the API promises", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    wire.send(hello);
    auto response = wire.response();
    CHECK(field_of(response, "Content-Type") == "text/plain");
    CHECK(field_of(response, "X-Content-Type-Options") == "nosniff");
    CHECK(field_of(response, "Cache-Control") == "no-store");
    CHECK(field_of(response, "Request-Id").starts_with("req_"));
    auto date = field_of(response, "Date");
    CHECK(date.size() == 29);
    CHECK(date.ends_with(" GMT"));
    CHECK(field_of(response, "Server").empty());
}

TEST_CASE("a hundred pipelined requests are answered in order", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    std::string all;
    for (int i = 0; i < 100; ++i)
        all += i % 3 == 2 ? post("/echo", "Content-Length: 5\r\n", fmt::format("e{:04}", i))
                          : fmt::format("GET /hello?n={} HTTP/1.1\r\nHost: x\r\n\r\n", i);
    wire.send(all);
    for (int i = 0; i < 100; ++i) {
        auto body = body_of(wire.response());
        REQUIRE(body == (i % 3 == 2 ? fmt::format("e{:04}", i) : fmt::format("hello{}", i)));
    }
}

TEST_CASE("a request may arrive a byte at a time", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    const auto all =
        post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    for (char c : all + hello) {
        wire.send({&c, 1});
        std::this_thread::yield();
    }
    CHECK(body_of(wire.response()) == "abcde");
    CHECK(body_of(wire.response()) == "hello");
}

TEST_CASE("what is longer than a waiting connection's buffer is served, too", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    const std::string long_field = "X-Long: " + std::string(7'000, 'p') + "\r\n";
    const std::string get = "GET /hello HTTP/1.1\r\nHost: x\r\n" + long_field + "\r\n";
    const std::string body(1'000, 'b');
    for (int i = 0; i < 3; ++i) {
        wire.send(hello);
        REQUIRE(body_of(wire.response()) == "hello");
        wire.send(get);
        REQUIRE(body_of(wire.response()) == "hello");
        wire.send(post("/echo", long_field + "Content-Length: 1000\r\n", body) + get);
        REQUIRE(body_of(wire.response()) == body);
        REQUIRE(body_of(wire.response()) == "hello");
    }
}

TEST_CASE("chunked bodies", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    const auto chunked = [&](std::string_view body) {
        Wire wire(server.port());
        wire.send(post("/echo", "Transfer-Encoding: chunked\r\n", body));
        return wire.response();
    };
    SECTION("are put together") {
        CHECK(body_of(chunked("5\r\nhello\r\n0\r\n\r\n")) == "hello");
        CHECK(body_of(chunked("005\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")) == "hello!");
        CHECK(body_of(chunked("A\r\n0123456789\r\n0\r\n\r\n")) == "0123456789");
        CHECK(body_of(chunked("0\r\n\r\n")).empty());
    }
    SECTION("lose their trailers") {
        auto response =
            chunked("1\r\na\r\n0\r\nX-Trailer: evil\r\nAuthorization: Bearer x\r\n\r\n");
        CHECK(status_of(response) == 200);
        CHECK(body_of(response) == "a");
    }
    SECTION("are refused when odd") {
        for (std::string_view body : {
                 "5;ext=1\r\nhello\r\n0\r\n\r\n",
                 "0x5\r\nhello\r\n0\r\n\r\n",
                 "+5\r\nhello\r\n0\r\n\r\n",
                 "-5\r\nhello\r\n0\r\n\r\n",
                 " 5\r\nhello\r\n0\r\n\r\n",
                 "5 \r\nhello\r\n0\r\n\r\n",
                 "5\nhello\r\n0\r\n\r\n",
                 "5\r\nhelloX\r\n0\r\n\r\n",
                 "5\r\nhello0\r\n\r\n",
                 "5\r\nhello\n0\r\n\r\n",
                 "g\r\nhello\r\n0\r\n\r\n",
                 "\r\nhello\r\n0\r\n\r\n",
                 "5\r\nhello\r\n0;x\r\n\r\n",
                 "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
                 "11111111111111111\r\nhello\r\n0\r\n\r\n",
             }) {
            INFO(body);
            auto response = chunked(body);
            CHECK(status_of(response) == 400);
            CHECK(field_of(response, "Connection") == "close");
        }
        CHECK(status_of(chunked("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")) == 413);
        CHECK(status_of(chunked("5\r\nhello\r\nfffffffb\r\n")) == 413);
        CHECK(shop.echoes == 0);
    }
    SECTION("cannot starve the buffer") {
        CHECK(status_of(chunked("0\r\nX: " + std::string(20'000, 'a'))) == 400);
        CHECK(status_of(chunked(std::string(20'000, '0'))) == 400);
    }
}

TEST_CASE("Expect: 100-continue is answered before the body is sent", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    SECTION("go on") {
        Wire wire(server.port());
        wire.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 2\r\n", ""));
        CHECK(wire.response() == "HTTP/1.1 100 Continue\r\n\r\n");
        wire.send("hi");
        CHECK(body_of(wire.response()) == "hi");
    }
    SECTION("no need once the body is there") {
        Wire wire(server.port());
        wire.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"));
        CHECK(body_of(wire.response()) == "hi");
    }
    SECTION("don't bother") {
        Wire wire(server.port());
        wire.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 2000\r\n", ""));
        CHECK(status_of(wire.response()) == 413);
        CHECK(wire.closed());
    }
}

TEST_CASE("a body has its route's limit", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    const auto send = [&](std::string_view fields, const std::string& body) {
        Wire wire(server.port());
        wire.send(post("/echo", fields, body));
        auto all = wire.response();
        if (status_of(all) != 200) CHECK(wire.closed());
        return status_of(all);
    };
    CHECK(send("Content-Length: 1024\r\n", std::string(1024, 'a')) == 200);
    CHECK(send("Content-Length: 1025\r\n", std::string(1025, 'a')) == 413);
    CHECK(send("Content-Length: 999999999999999\r\n", "") == 413);
    const auto te = "Transfer-Encoding: chunked\r\n";
    CHECK(send(te, "400\r\n" + std::string(1024, 'a') + "\r\n0\r\n\r\n") == 200);
    CHECK(send(te, "401\r\n" + std::string(1025, 'a') + "\r\n0\r\n\r\n") == 413);
    CHECK(send(te, "400\r\n" + std::string(1024, 'a') + "\r\n1\r\na\r\n0\r\n\r\n") == 413);
    std::string dribble;
    for (int i = 0; i < 1025; ++i)
        dribble += "1\r\na\r\n";
    CHECK(send(te, dribble + "0\r\n\r\n") == 413);
    CHECK(shop.echoes == 2);
    // Nobody reads the body of a GET, so none is taken in.
    const auto get = [&](std::string_view rest) {
        Wire wire(server.port());
        wire.send("GET /hello HTTP/1.1\r\nHost: x\r\n" + std::string(rest));
        return status_of(wire.response());
    };
    CHECK(get("Content-Length: 0\r\n\r\n") == 200);
    CHECK(get("Content-Length: 1\r\n\r\na") == 413);
    CHECK(get("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n") == 413);
}

TEST_CASE("a body that nobody wants is skipped or ends the connection", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    wire.send(post("/nothing", "Content-Length: 5\r\n", "GET /") + hello);
    CHECK(status_of(wire.response()) == 404);
    CHECK(body_of(wire.response()) == "hello");
    wire.send(post("/nothing", "Content-Length: 70000\r\n", ""));
    auto response = wire.response();
    CHECK(status_of(response) == 404);
    CHECK(field_of(response, "Connection") == "close");
    CHECK(wire.closed());
}

TEST_CASE("a last answer is not overtaken by a reset", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    wire.send(post("/echo", "Content-Length: 100000\r\n", std::string(100'000, 'a')));
    CHECK(status_of(wire.response()) == 413);
    CHECK(wire.closed());
    CHECK_FALSE(wire.was_reset());
}

TEST_CASE("HEAD is GET without the body", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    wire.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n" + hello);
    auto head = wire.response(true);
    CHECK(status_of(head) == 200);
    CHECK(field_of(head, "Content-Length") == "5");
    CHECK(body_of(head).empty());
    CHECK(body_of(wire.response()) == "hello");
}

TEST_CASE("a client may close its half and still be answered", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    wire.send(hello + hello);
    wire.shutdown_send();
    CHECK(count_of(wire.rest(), "200 OK") == 2);
}

TEST_CASE("connections end when they should", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    const auto ends = [&](std::string_view request) {
        Wire wire(server.port());
        wire.send(request);
        auto response = wire.response();
        CHECK(field_of(response, "Connection") == "close");
        CHECK(wire.closed());
        return status_of(response);
    };
    CHECK(ends("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == 200);
    CHECK(ends("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n") == 200);
    CHECK(ends("GET /hello HTTP/1.0\r\nHost: x\r\n\r\n") == 200);
    CHECK(ends("GET /hello HTTP/1.1\r\n\r\n") == 400);
    CHECK(ends("\x16\x03\x01\x02\r\n\r\n") == 400);  // TLS on a plain port
}

TEST_CASE("a request smuggled behind another never runs", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    const std::string sentinel = "GET /sentinel HTTP/1.1\r\nHost: x\r\n\r\n";
    const auto smuggle = [&](const std::string& fields, const std::string& body) {
        INFO(fields + "|" + body);
        Wire wire(server.port());
        wire.send(post("/echo", fields, body + sentinel));
        wire.shutdown_send();
        auto all = wire.rest();
        CHECK(status_of(all) == 400);
        CHECK(count_of(all, "HTTP/1.1 ") == 1);
    };
    const std::string end = "0\r\n\r\n";
    smuggle("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", end);
    smuggle("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", end);
    smuggle("Content-Length: 0\r\nContent-Length: 5\r\n", end);
    smuggle("Content-Length: 0, 5\r\n", end);
    smuggle("Content-Length: +0\r\n", "");
    smuggle("Transfer-Encoding: xchunked\r\n", end);
    smuggle("Transfer-Encoding: chunked, identity\r\n", end);
    smuggle("Transfer-Encoding: identity\r\nContent-Length: 0\r\n", "");
    smuggle("Transfer-Encoding : chunked\r\n", end);
    smuggle("Transfer-Encoding:\r\n chunked\r\n", end);
    smuggle("X: a\nContent-Length: 0\r\n", "");
    smuggle("X: a\rContent-Length: 0\r\n", "");
    smuggle("X: a\r\n\tContent-Length: 0\r\n", "");
    smuggle("Host: y\r\n", "");
    smuggle("Transfer-Encoding: chunked\r\n", "0\n\r\n");
    smuggle("Transfer-Encoding: chunked\r\n", "0;\n\r\n\r\n");
    smuggle("Transfer-Encoding: chunked\r\n", "1\r\naX\r\n0\r\n\r\n");
    CHECK(shop.sentinels == 0);

    Wire plain(server.port());  // and it would have run
    plain.send(sentinel);
    CHECK(status_of(plain.response()) == 204);
    CHECK(shop.sentinels == 1);
}

TEST_CASE("a listener can be a Unix socket", "[server]") {
    const auto path = socket_path("souk-http");
    ServerOptions options;
    options.unix_socket = path;
    Shop shop;
    {
        TestServer server(shop.routes(), options);
        struct stat info {};
        REQUIRE(::stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 0777) == 0600);
        Wire wire(path);
        wire.send("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(body_of(wire.response()).starts_with("unix "));
        CHECK_THROWS(TestServer(shop.routes(), options));  // somebody listens there
    }
    CHECK_FALSE(std::filesystem::exists(path));
    SECTION("a stale one is replaced") {
        asio::io_context context;
        { asio::local::stream_protocol::acceptor dead(context, {path.string()}); }
        REQUIRE(std::filesystem::exists(path));
        TestServer server(shop.routes(), options);
        Wire wire(path);
        wire.send(hello);
        CHECK(status_of(wire.response()) == 200);
    }
    SECTION("another file is left alone") {
        std::ofstream(path) << "precious";
        CHECK_THROWS(TestServer(shop.routes(), options));
        CHECK(std::filesystem::file_size(path) == 8);
        std::filesystem::remove(path);
    }
}

TEST_CASE("a taken port is an error in words, with several threads too", "[server]") {
    Shop shop;
    TestServer first(shop.routes(), {}, nullptr, nullptr, 2);
    ServerOptions options;
    options.port = first.port();
    CHECK_THROWS_WITH(
        TestServer(shop.routes(), options, nullptr, nullptr, 2),
        Catch::Contains("cannot listen on 127.0.0.1:" + std::to_string(first.port()))
    );
    for (int i = 0; i < 20; ++i) {
        Wire wire(first.port());
        wire.send(hello);
        CHECK(status_of(wire.response()) == 200);
    }
}

TEST_CASE("stop lets answers in flight finish", "[server]") {
    Hold hold;
    TestServer server(hold.routes(base::system_clock()));
    Wire idle(server.port());
    Wire busy(server.port());
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(eventually([&] { return hold.started == 1; }));
    std::thread stopper([&] { server.stop(); });
    CHECK(idle.closed());
    hold.released = true;
    auto response = busy.response();
    CHECK(body_of(response) == "done");
    CHECK(field_of(response, "Connection") == "close");
    CHECK(busy.closed());
    stopper.join();
    CHECK_THROWS(Wire(server.port()));
}

TEST_CASE("stop ends at its deadline, whatever a handler does", "[server]") {
    Hold hold;
    TestServer server(hold.routes(base::system_clock()));
    Wire busy(server.port());
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(eventually([&] { return hold.started == 1; }));
    server.stop(milliseconds(20));
    CHECK(busy.closed());
    hold.released = true;
}
