#include "http/client.hpp"

#include "support.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;
using boost::asio::ip::tcp;

namespace {

/// A client on a thread of its own, called from the test's.
struct Caller {
    explicit Caller(ClientTarget target) : client(loop.executor(), std::move(target)) {}
    ~Caller() { loop.end(); }

    Result<Response> send(
        Method method,
        std::string target,
        std::string body = {},
        Headers headers = {},
        milliseconds within = milliseconds(5'000)
    ) {
        auto& clock = base::system_clock();
        return run(
            loop.executor(),
            client.send(
                method,
                std::move(target),
                std::move(headers),
                std::move(body),
                clock,
                Deadline(clock, within)
            )
        );
    }

    Loop loop;
    Client client;
};

ClientTarget at(std::uint16_t port) {
    ClientTarget target;
    target.host = "127.0.0.1";
    target.port = port;
    return target;
}

using Script = std::vector<std::string>;
using Scripts = std::vector<Script>;

/// A server that says what it is told: one script a connection, each request (up to its empty line)
/// answered by the next entry; "" hangs up.
class Scripted {
public:
    explicit Scripted(Scripts scripts)
        : acceptor_(context_, {boost::asio::ip::make_address("127.0.0.1"), 0})
        , thread_([this, scripts = std::move(scripts)] {
            for (const auto& script : scripts)
                serve(script);
        }) {}
    ~Scripted() { thread_.join(); }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::atomic<int> requests = 0;

private:
    void serve(const Script& script) {
        boost::system::error_code ec;
        tcp::socket socket(context_);
        acceptor_.accept(socket, ec);
        std::string in;
        for (const auto& answer : script) {
            const auto n =
                boost::asio::read_until(socket, boost::asio::dynamic_buffer(in), "\r\n\r\n", ec);
            if (ec) return;
            in.erase(0, n);
            ++requests;
            if (answer.empty()) return;
            boost::asio::write(socket, boost::asio::buffer(answer), ec);
        }
    }
    boost::asio::io_context context_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("a client's target is a URL", "[client]") {
    const auto parse = [](std::string_view url) -> std::string {
        auto target = ClientTarget::parse(url);
        if (!target) return target.error().code;
        if (!target->unix_socket.empty()) return "unix " + target->unix_socket.string();
        return target->host + " " + std::to_string(target->port);
    };
    CHECK(parse("http://127.0.0.1:3000") == "127.0.0.1 3000");
    CHECK(parse("http://127.0.0.1:3000/") == "127.0.0.1 3000");
    CHECK(parse("http://localhost") == "localhost 80");
    CHECK(parse("http://[::1]:8080") == "::1 8080");
    CHECK(parse("http://[::1]") == "::1 80");
    CHECK(parse("unix:/tmp/souk.sock") == "unix /tmp/souk.sock");
    for (const auto* bad :
         {"",
          "localhost:3000",
          "https://localhost",
          "http://",
          "http://:80",
          "http://a:0",
          "http://a:65536",
          "http://a:b",
          "http://a:",
          "http://a:80/path",
          "http://a/path",
          "http://u@a",
          "http://[::1",
          "http://[::1]x",
          "http://a b",
          "http://a\r\nX: y",
          "unix:"})
        CHECK(parse(bad) == "bad_url");
}

TEST_CASE("a client and a server understand each other", "[client]") {
    Shop shop;
    ServerOptions options;
    const bool local = GENERATE(false, true);
    if (local)
        options.unix_socket =
            std::filesystem::temp_directory_path() / ("souk-cl" + std::to_string(::getpid()));
    TestServer server(shop.routes(), options);
    ClientTarget target = at(server.port());
    target.unix_socket = options.unix_socket;
    Caller caller(target);
    for (int i = 0; i < 3; ++i) {
        auto response = caller.send(Method::get, "/hello?n=1");
        REQUIRE(response.has_value());
        CHECK(response->status == 200);
        CHECK(response->content_type == "text/plain");
        CHECK(response->body == "hello1");
    }
    CHECK(caller.send(Method::post, "/echo", "body").value().body == "body");
    CHECK(caller.send(Method::post, "/echo").value().body.empty());
    auto head = caller.send(Method::head, "/hello");
    CHECK(head.value().headers.get("content-length") == "5");
    CHECK(head.value().body.empty());
    CHECK(caller.send(Method::get, "/nothing").value().status == 404);
    auto refused = caller.send(Method::post, "/echo", std::string(1'000'000, 'a'));
    CHECK(refused.value().status == 413);
    CHECK(caller.send(Method::get, "/hello").value().status == 200);
}

TEST_CASE("a client sends nothing that starts a line of its own", "[client]") {
    Caller caller(at(1));
    Headers headers;
    headers.add("X-A", "b\r\nX-C: d");
    CHECK(caller.send(Method::get, "/", "", headers).error().code == "bad_request");
    CHECK(caller.send(Method::get, "/\r\nX: y").error().code == "bad_request");
    CHECK(caller.send(Method::get, "/ x").error().code == "bad_request");
}

TEST_CASE("a client says whether anything was sent", "[client]") {
    SECTION("nobody listens") {
        boost::asio::io_context context;
        tcp::acceptor bound(context, tcp::v4());
        bound.bind({boost::asio::ip::make_address("127.0.0.1"), 0});
        Caller caller(at(bound.local_endpoint().port()));
        auto response = caller.send(Method::get, "/");
        CHECK(response.error().kind == ErrorKind::unavailable);
        CHECK(response.error().code == "connect");
    }
    SECTION("the server hung up") {
        Scripted server(Scripts{Script{""}});
        Caller caller(at(server.port()));
        CHECK(caller.send(Method::post, "/").error().code == "broken");
    }
    SECTION("in the middle of an answer") {
        Scripted server(Scripts{Script{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ""}});
        Caller caller(at(server.port()));
        auto response = caller.send(Method::get, "/", "", {}, milliseconds(300));
        CHECK(response.error().kind == ErrorKind::timeout);
    }
    SECTION("what it says is not HTTP") {
        Scripted server(Scripts{Script{"SSH-2.0-OpenSSH\r\n\r\n"}});
        Caller caller(at(server.port()));
        CHECK(caller.send(Method::get, "/").error().code == "broken");
    }
    SECTION("it says too much") {
        Scripted server(Scripts{Script{"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n"}});
        Caller caller(at(server.port()));
        CHECK(caller.send(Method::get, "/").error().code == "broken");
    }
    SECTION("its head never ends") {
        Scripted server(Scripts{Script{"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'a')}});
        Caller caller(at(server.port()));
        CHECK(caller.send(Method::get, "/").error().code == "broken");
    }
}

TEST_CASE("a client honours its deadline and goes on afterwards", "[client]") {
    Scripted server(Scripts{Script{"HTTP/1.1 200", ""}, Script{ok, ok}});
    Caller caller(at(server.port()));
    auto late = caller.send(Method::get, "/", "", {}, milliseconds(50));
    CHECK(late.error().kind == ErrorKind::timeout);
    CHECK(caller.send(Method::get, "/").value().body == "ok");
    CHECK(caller.send(Method::get, "/", "", {}, milliseconds(0)).error().code == "timeout");
    CHECK(caller.send(Method::get, "/").value().body == "ok");
}

TEST_CASE("a client reopens what the server closed", "[client]") {
    const std::string last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1";
    Scripted server(Scripts{Script{last}, Script{ok}, Script{"HTTP/1.1 200 OK\r\n\r\nto the end"}});
    Caller caller(at(server.port()));
    CHECK(caller.send(Method::post, "/").value().body == "1");
    CHECK(caller.send(Method::post, "/").value().body == "ok");
    CHECK(caller.send(Method::get, "/").value().body == "to the end");
}

TEST_CASE("a client repeats only what is harmless to repeat", "[client]") {
    // The second request on a kept connection meets a hang-up that comes after it was sent.
    SECTION("GET") {
        Scripted server(Scripts{Script{ok, ""}, Script{ok}});
        Caller caller(at(server.port()));
        REQUIRE(caller.send(Method::get, "/").has_value());
        CHECK(caller.send(Method::get, "/").value().body == "ok");
        CHECK(server.requests == 3);
    }
    SECTION("POST") {
        Scripted server(Scripts{Script{ok, ""}});
        Caller caller(at(server.port()));
        REQUIRE(caller.send(Method::post, "/").has_value());
        CHECK(caller.send(Method::post, "/").error().code == "broken");
        CHECK(server.requests == 2);
    }
    SECTION("POST with a key") {
        Scripted server(Scripts{Script{ok, ""}, Script{ok}});
        Caller caller(at(server.port()));
        Headers headers;
        headers.add("Idempotency-Key", "k");
        REQUIRE(caller.send(Method::post, "/", "", headers).has_value());
        CHECK(caller.send(Method::post, "/", "", headers).value().body == "ok");
    }
}

TEST_CASE("a client skips interim answers and unpacks chunks", "[client]") {
    Scripted server(Scripts{Script{
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"}});
    Caller caller(at(server.port()));
    CHECK(caller.send(Method::get, "/").value().body == "ok");
    CHECK(caller.send(Method::get, "/").value().body == "abc");
}
