// What a call carries and what it brings back, over real sockets.
#include "support.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

std::string answer_of(std::string_view status, std::string_view type, std::string_view body) {
    return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: " + std::string(type) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// A peer that answers so is away, whatever it says, within the deadline.
void check_away(const Result<json::value>& result) {
    REQUIRE(result.has_error());
    CHECK(result.error().kind == ErrorKind::unavailable);
    CHECK(result.error().code == "peer_unavailable");
    CHECK(result.error().retry_after_s >= 1);
}

}  // namespace

TEST_CASE("a call's arguments and result are values", "[peers]") {
    PeerServer server;
    Caller caller(server.url());
    json::object arguments;
    arguments["order_id"] = "ord_1";
    arguments["lines"] = json::array({1, 2});
    auto echoed = caller.start_call("echo", caller.context(), arguments).get();
    REQUIRE(echoed.has_value());
    CHECK(json::serialize(*echoed) == R"({"order_id":"ord_1","lines":[1,2]})");
    auto nothing = caller.call("nothing");
    REQUIRE(nothing.has_value());
    CHECK(nothing->is_null());
    CHECK(metric(caller.metrics(), R"(peer_requests_total{outcome="ok",peer="shop"})") == 2);
    CHECK(metric(caller.metrics(), R"(peer_request_seconds_count{peer="shop"})") == 2);
}

TEST_CASE("the Api's own error survives the wire", "[peers]") {
    PeerServer server;
    Caller caller(server.url());
    auto result = caller.call("out_of_stock");
    REQUIRE(result.has_error());
    const Error& error = result.error();
    CHECK(error.kind == ErrorKind::conflict);
    CHECK(error.code == "out_of_stock");
    CHECK(error.detail == "there is not enough of it");
    CHECK(error.retry_after_s == 7);
    REQUIRE(error.fields.size() == 1);
    CHECK(error.fields[0].pointer == "/lines/0");
    CHECK(error.fields[0].code == "too_many");
    CHECK(error.fields[0].detail == "only 3 are left");
    CHECK(server.seen.calls == 1);  // an answer is not tried again
}

TEST_CASE("identity, request id, trace and deadline travel along", "[peers]") {
    PeerServer server;
    Caller caller(server.url());
    const Identity customer("usr_1", {"customer"}, "ses_1");
    CallContext context = caller.context(milliseconds(1'500));
    context.identity = customer;
    context.identity_token =
        security::issue_internal_token(gateway_key(), customer, base::system_clock().now());
    context.request_id = "req-1";
    context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    REQUIRE(caller.call("echo", context).has_value());
    CHECK(server.seen.identity.subject == "usr_1");
    CHECK(server.seen.identity.roles == customer.roles);
    CHECK(server.seen.identity.session == "ses_1");
    CHECK(server.seen.identity_token == context.identity_token);  // for the next hop
    CHECK(server.seen.request_id == "req-1");
    // The same trace, a span of its own.
    CHECK(server.seen.traceparent.substr(0, 36) == context.traceparent.substr(0, 36));
    CHECK(server.seen.traceparent.substr(52) == "-01");
    CHECK(server.seen.traceparent != context.traceparent);
    CHECK(server.seen.time_left > milliseconds(0));
    CHECK(server.seen.time_left <= milliseconds(1'500));  // the route itself gives 2 s
}

TEST_CASE("a call that no customer caused is the system's and may nothing", "[peers]") {
    PeerServer server;
    Caller caller(server.url());
    CallContext context = caller.context();
    context.identity = Identity("system", {"admin"}, "");  // unsigned: nobody believes it
    REQUIRE(caller.call("echo", context).has_value());
    CHECK(server.seen.identity.subject == "system");
    CHECK(server.seen.identity.roles == std::vector<std::string>{"peer"});
    CHECK_FALSE(server.seen.identity.may("orders:read"));
    CHECK(server.seen.identity_token.empty());
}

TEST_CASE("a call with less than 10 ms left does not start", "[peers]") {
    Scripted server("");
    Caller caller(server.url());
    auto late = caller.call("echo", milliseconds(9));
    REQUIRE(late.has_error());
    CHECK(late.error().kind == ErrorKind::timeout);
    CHECK(server.connections == 0);
    CHECK(metric(caller.metrics(), R"(peer_requests_total{outcome="timeout",peer="shop"})") == 1);
}

TEST_CASE("a peer that never answers is away before the deadline", "[peers]") {
    Scripted server{std::string(Scripted::silence)};
    Caller caller(server.url());
    auto& clock = base::system_clock();
    const CallContext context = caller.context(milliseconds(200));
    check_away(caller.call("echo", context));
    // Not a timing: the deadline itself, with what a busy machine may add to waking up.
    CHECK(context.deadline.remaining(clock) > -seconds(2));
    CHECK(server.requests == 1);
}

TEST_CASE("what is not the Api's answer means that the peer is away", "[peers]") {
    const std::string not_found =
        R"({"type":"x","status":404,"code":"not_found","detail":"there is nothing at this path"})";
    const auto answer = GENERATE_COPY(
        as<std::string>{},
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        answer_of("200 OK", "text/html", "<html>"),
        answer_of("200 OK", "application/json", "{"),
        answer_of("200 OK", "application/json", R"({"a":1,"a":2})"),
        answer_of("302 Found", "text/plain", ""),
        answer_of("502 Bad Gateway", "text/html", "<html>"),
        answer_of("401 Unauthorized", "application/problem+json", R"({"code":"peer_refused"})"),
        // A listener without the route says so as the Api might: only who was let in is believed.
        answer_of("404 Not Found", "application/problem+json", not_found),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'a')
    );
    Scripted server(answer);
    Caller caller(server.url());
    check_away(caller.call("echo"));
}

TEST_CASE("an answer may not be larger than agreed", "[peers]") {
    RemoteOptions options;
    options.lane.answer_bytes = 1'000;
    const auto body = "\"" + std::string(1'000, 'a') + "\"";
    const bool chunked = GENERATE(false, true);
    const std::string in_chunks =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3EA\r\n" +
        body + "\r\n0\r\n\r\n";
    Scripted server(chunked ? in_chunks : answer_of("200 OK", "application/json", body));
    Caller caller(server.url(), options);
    check_away(caller.call("echo"));
}

TEST_CASE("half an answer is none", "[peers]") {
    Scripted server(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{}"
    );
    server.hang_up_after_answer = true;
    Caller caller(server.url());
    check_away(caller.call("echo"));
}

TEST_CASE("a connection is kept", "[peers]") {
    Scripted server(answer_of("200 OK", "application/json", "{}"));
    Caller caller(server.url());
    for (int i = 0; i < 5; ++i)
        REQUIRE(caller.call("echo").has_value());
    CHECK(server.connections == 1);
}

TEST_CASE("a kept connection that the server closed costs no failure", "[peers]") {
    Scripted server(answer_of("200 OK", "application/json", "{}"));
    Caller caller(server.url());
    SECTION("seen before the call") {
        server.hang_up_after_answer = true;
        for (int i = 0; i < 5; ++i)
            REQUIRE(caller.call("echo").has_value());
        CHECK(server.requests == 5);
    }
    SECTION("seen when the request was on its way") {
        server.answers = 1;
        // Far more than the budget of retries could make good.
        for (int i = 0; i < 60; ++i)
            REQUIRE(caller.call("echo").has_value());
        CHECK(server.requests > 110);
    }
}

TEST_CASE("addresses are checked at start", "[peers]") {
    CHECK(parse_addresses("http://a:1, https://b").value().size() == 2);
    CHECK(parse_addresses("https://b").value()[0].port == 443);
    CHECK(parse_addresses("https://b:80").value()[0].port == 80);
    CHECK(parse_addresses("http://[::1]:5").value()[0].host_field() == "[::1]:5");
    for (const auto* bad : {"", "a:1", "ftp://a", "http://a,", "unix:/x", "http://a/path"})
        CHECK(parse_addresses(bad).error().code == "bad_peer_address");
    CHECK_THROWS(Caller("https://localhost:1"));  // without certificates
}
