// What stands between a request and its handler, over a real socket.
#include "http/dispatch.hpp"

#include "http/forwarded.hpp"
#include "http/serialize.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

namespace {

using namespace std::string_literals;

/// Lets "good" in, refuses others, adds a field to each response.
class TestEdge final : public Edge {
public:
    Task<Result<Identity>> admit(
        const Route& route, const Request& request, Headers& response_headers
    ) override {
        body_seen = body_seen || !request.body.empty();
        response_headers.set("RateLimit", "\"default\";r=9");
        const auto token = request.headers.get("Authorization");
        if (token == "Bearer broken") throw std::runtime_error("the edge broke");
        if (route.access.kind == Access::Kind::everyone) co_return Identity();
        if (token == "Bearer good") co_return Identity("usr_1", {}, "");
        co_return Error(ErrorKind::unauthenticated, "invalid_token", "sign in");
    }
    void finish(const Request& request, Headers& response_headers) override {
        if (request.headers.has("Origin"))
            response_headers.set("Access-Control-Allow-Origin", "https://shop");
    }
    bool tells_faults() const override { return tells; }
    std::atomic<bool> body_seen = false;
    std::atomic<bool> tells = true;
};

struct Fixture {
    Shop shop;
    TestEdge edge;
    TestServer server{shop.routes(), {}, &edge};

    std::string send(std::string_view bytes) {
        Wire wire(server.port());
        wire.send(bytes);
        return wire.response();
    }
    std::string get(std::string_view target, std::string_view fields = "") {
        return send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", target, fields));
    }
    std::string order(std::string_view fields) {
        return send(fmt::format(
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{}\r\n{{}}", fields
        ));
    }
};

constexpr std::string_view signed_in = "Authorization: Bearer good\r\n";
constexpr std::string_view json = "Content-Type: application/json\r\n";

/// The stable `code` of a problem document.
std::string code_of(const std::string& response) {
    CHECK(field_of(response, "Content-Type") == "application/problem+json");
    auto document = souk::json::parse(body_of(response));
    if (!document) return "no problem document";
    const auto& problem = document->as_object();
    CHECK(problem.at("status").as_int64() == status_of(response));
    CHECK(problem.at("request_id").as_string() == field_of(response, "Request-Id"));
    return std::string(problem.at("code").as_string());
}

}  // namespace

TEST_CASE_METHOD(Fixture, "what has no route is 404 or 405", "[dispatch]") {
    CHECK(code_of(get("/nothing")) == "not_found");
    auto response = send("DELETE /orders HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(status_of(response) == 405);
    CHECK(field_of(response, "Allow") == "POST");
    CHECK(code_of(response) == "method_not_allowed");
}

TEST_CASE_METHOD(Fixture, "OPTIONS is answered with what is allowed", "[dispatch]") {
    auto response = send("OPTIONS /orders HTTP/1.1\r\nHost: x\r\nOrigin: https://shop\r\n\r\n");
    CHECK(status_of(response) == 204);
    CHECK(field_of(response, "Allow") == "POST, OPTIONS");
    CHECK(field_of(response, "Access-Control-Allow-Origin") == "https://shop");
    CHECK(field_of(response, "Content-Length").empty());
    CHECK(status_of(send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")) == 204);
    CHECK(status_of(send("OPTIONS /nothing HTTP/1.1\r\nHost: x\r\n\r\n")) == 404);
}

TEST_CASE_METHOD(Fixture, "the edge admits before the body is read", "[dispatch]") {
    auto response = order("");
    CHECK(status_of(response) == 401);
    CHECK(code_of(response) == "invalid_token");
    CHECK(field_of(response, "WWW-Authenticate") == "Bearer");
    CHECK(field_of(response, "RateLimit") == "\"default\";r=9");
    CHECK_FALSE(edge.body_seen);
    auto waiting =
        send("POST /orders HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        );
    CHECK(status_of(waiting) == 401);
    CHECK(field_of(waiting, "Connection") == "close");
}

TEST_CASE_METHOD(Fixture, "a trailer does not sign anybody in", "[dispatch]") {
    auto response = send(
        "POST /orders HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Type: "
        "application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\n{}\r\n0\r\nAuthorization: Bearer good\r\n\r\n"
    );
    CHECK(status_of(response) == 401);
}

TEST_CASE_METHOD(Fixture, "an edge that breaks is 500 without words", "[dispatch]") {
    auto response = get("/hello", "Authorization: Bearer broken\r\n");
    CHECK(status_of(response) == 500);
    CHECK(count_of(response, "the edge broke") == 0);
}

TEST_CASE_METHOD(Fixture, "an Idempotency-Key is required where effects are", "[dispatch]") {
    const auto with = [&](const std::string& key) {
        return order(fmt::format("{}{}{}", signed_in, json, key));
    };
    CHECK(code_of(with("")) == "idempotency_key_missing");
    CHECK(code_of(with("Idempotency-Key:\r\n")) == "idempotency_key_invalid");
    CHECK(code_of(with("Idempotency-Key: a b\r\n")) == "idempotency_key_invalid");
    CHECK(code_of(with("Idempotency-Key: \xc3\xa9\r\n")) == "idempotency_key_invalid");
    const std::string longest(255, 'k');
    CHECK(code_of(with("Idempotency-Key: " + longest + "k\r\n")) == "idempotency_key_invalid");
    CHECK(status_of(with("Idempotency-Key: " + longest + "\r\n")) == 201);
    auto response = with("Idempotency-Key: k\r\n");
    CHECK(status_of(response) == 201);
    CHECK(body_of(response) == "usr_1");
}

TEST_CASE_METHOD(Fixture, "a body must be JSON where JSON is read", "[dispatch]") {
    const auto with = [&](std::string_view type) {
        return status_of(order(fmt::format("{}Idempotency-Key: k\r\n{}", signed_in, type)));
    };
    CHECK(with("Content-Type: application/json\r\n") == 201);
    CHECK(with("Content-Type: Application/JSON ; charset=UTF-8\r\n") == 201);
    CHECK(with("Content-Type: application/json; charset=\"utf-8\"\r\n") == 201);
    CHECK(with("") == 415);
    CHECK(with("Content-Type: text/plain\r\n") == 415);
    CHECK(with("Content-Type: application/jsonp\r\n") == 415);
    CHECK(with("Content-Type: application/problem+json\r\n") == 415);
    CHECK(with("Content-Type: application/x-www-form-urlencoded\r\n") == 415);
    CHECK(with("Content-Type: application/json; charset=utf-16\r\n") == 415);
    CHECK(with("Content-Type: application/json\r\nContent-Encoding: gzip\r\n") == 415);
}

TEST_CASE_METHOD(Fixture, "what a handler throws is 500 without words", "[dispatch]") {
    auto response = get("/boom");
    CHECK(status_of(response) == 500);
    CHECK(code_of(response) == "internal");
    CHECK(count_of(response, "secret words") == 0);
}

TEST_CASE_METHOD(
    Fixture, "the public learns that something is away, not what or where", "[dispatch]"
) {
    edge.tells = GENERATE(true, false);
    auto response = get("/away");
    CHECK(status_of(response) == 503);
    CHECK(code_of(response) == "away");
    CHECK(field_of(response, "Retry-After") == "1");
    CHECK(count_of(response, "10.0.0.7") == (edge.tells ? 1 : 0));
}

TEST_CASE_METHOD(Fixture, "a version that the client has is not sent again", "[dispatch]") {
    CHECK(status_of(get("/items/7")) == 200);
    auto response = get("/items/7", "If-None-Match: \"v1\"\r\n");
    CHECK(status_of(response) == 304);
    CHECK(field_of(response, "ETag") == "\"v1\"");
    CHECK(field_of(response, "Cache-Control") == "private, no-cache");
    CHECK(body_of(response).empty());
    CHECK(status_of(get("/items/7", "If-None-Match: \"v0\", W/\"v1\"\r\n")) == 304);
    CHECK(status_of(get("/items/7", "If-None-Match: *\r\n")) == 304);
    CHECK(status_of(get("/items/7", "If-None-Match: \"v2\"\r\n")) == 200);
    CHECK(status_of(get("/hello", "If-None-Match: *\r\n")) == 200);
}

TEST_CASE_METHOD(Fixture, "a handler's header cannot start a line of its own", "[dispatch]") {
    auto response = get("/items/7");
    CHECK(field_of(response, "X-Evil") == "a  Set-Cookie: b");
    CHECK(field_of(response, "Set-Cookie").empty());
}

TEST_CASE_METHOD(Fixture, "a sane Request-Id is kept, another replaced", "[dispatch]") {
    const auto id = [&](std::string_view offered) {
        auto response = get("/whoami", fmt::format("Request-Id: {}\r\n", offered));
        auto answered = field_of(response, "Request-Id");
        CHECK(count_of(body_of(response), " " + answered + " ") == 1);
        return answered;
    };
    CHECK(id("abc.DEF_1-2") == "abc.DEF_1-2");
    CHECK(id(std::string(64, 'a')) == std::string(64, 'a'));
    CHECK(id(std::string(65, 'a')).starts_with("req_"));
    CHECK(id("a b").starts_with("req_"));
    CHECK(id("a\"b").starts_with("req_"));
    CHECK(id("").starts_with("req_"));
}

TEST_CASE("a traceparent is kept when it is one", "[dispatch]") {
    const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    CHECK(choose_traceparent(good) == good);
    for (std::string bad : {
             std::string(),
             good.substr(1),
             good + "-x",
             "01" + good.substr(2),
             "00-00000000000000000000000000000000-b7ad6b7169203331-01"s,
             "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"s,
             "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"s,
             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x"s,
         }) {
        INFO(bad);
        const auto made = choose_traceparent(bad);
        CHECK(made != bad);
        CHECK(choose_traceparent(made) == made);  // valid itself
    }
    CHECK(choose_traceparent("") != choose_traceparent(""));
}

TEST_CASE_METHOD(Fixture, "requests are counted by route, never by path", "[dispatch]") {
    get("/items/1?token=secret");
    get("/items/2");
    get("/nothing/secret");
    send("BROKEN\r\n\r\n");
    const auto text = server.metrics();
    CHECK(
        count_of(
            text,
            R"(http_requests_total{method="GET",route="/items/{id}",service="shop",status="200"} 2)"
        ) == 1
    );
    CHECK(count_of(text, R"(route="unmatched",service="public",status="404"} 1)") == 1);
    CHECK(count_of(text, R"(route="unmatched",service="public",status="400"} 1)") == 1);
    CHECK(count_of(text, "http_request_duration_seconds_bucket") > 0);
    CHECK(count_of(text, R"(le="0.2")") > 0);
    CHECK(count_of(text, "secret") == 0);
}

TEST_CASE("X-Forwarded-For counts only from trusted proxies", "[dispatch]") {
    auto trusted = TrustedProxies::parse({"10.0.0.0/8", "192.0.2.7", "fd00::/8"});
    REQUIRE(trusted.has_value());
    const auto client = [&](std::string_view peer, std::initializer_list<const char*> fields) {
        Headers headers;
        for (const auto* field : fields)
            headers.add("X-Forwarded-For", field);
        return trusted->client_of(peer, headers);
    };
    CHECK(client("203.0.113.9", {"1.2.3.4"}) == "203.0.113.9");
    CHECK(client("192.0.2.8", {"1.2.3.4"}) == "192.0.2.8");
    CHECK(client("10.0.0.1", {}) == "10.0.0.1");
    CHECK(client("10.0.0.1", {"1.2.3.4"}) == "1.2.3.4");
    CHECK(client("192.0.2.7", {"1.2.3.4"}) == "1.2.3.4");
    CHECK(client("fd00::1", {"2001:db8::1"}) == "2001:db8::1");
    CHECK(client("10.0.0.1", {"6.6.6.6, 1.2.3.4"}) == "1.2.3.4");
    CHECK(client("10.0.0.1", {"6.6.6.6, 1.2.3.4, 10.9.9.9"}) == "1.2.3.4");
    CHECK(client("10.0.0.1", {"6.6.6.6", "1.2.3.4", "10.9.9.9"}) == "1.2.3.4");
    CHECK(client("10.0.0.1", {"10.1.1.1, 10.9.9.9"}) == "10.1.1.1");
    CHECK(client("10.0.0.1", {"::ffff:1.2.3.4"}) == "1.2.3.4");
    CHECK(client("10.0.0.1", {"1.2.3.4, rubbish"}) == "10.0.0.1");
    CHECK(client("10.0.0.1", {"1.2.3.4, rubbish, 10.2.2.2"}) == "10.2.2.2");
    CHECK(client("10.0.0.1", {"1.2.3.4,"}) == "10.0.0.1");
    CHECK(client("10.0.0.1", {"unknown"}) == "10.0.0.1");
    CHECK(client("unix", {"1.2.3.4"}) == "unix");
    CHECK_FALSE(TrustedProxies::parse({"10.0.0.0/33"}).has_value());
    CHECK_FALSE(TrustedProxies::parse({"proxy.example"}).has_value());
}

TEST_CASE("a spoofed X-Forwarded-For does not reach the handler", "[dispatch]") {
    Shop shop;
    const std::string request =
        "GET /whoami HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
        "X-Real-IP: 6.6.6.6\r\n\r\n";
    const auto remote = [&](ServerOptions options) {
        TestServer server(shop.routes(), std::move(options));
        Wire wire(server.port());
        wire.send(request);
        auto body = body_of(wire.response());
        return body.substr(0, body.find(' '));
    };
    CHECK(remote({}) == "127.0.0.1");
    ServerOptions behind;
    behind.trusted_proxies = {"127.0.0.0/8"};
    CHECK(remote(behind) == "6.6.6.6");
}

TEST_CASE("the Date field is the standard's", "[dispatch]") {
    DateCache dates;
    CHECK(dates.at(from_micros(784'111'777'000'000)) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(dates.at(from_micros(784'111'777'999'999)) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(dates.at(from_micros(784'111'778'000'000)) == "Sun, 06 Nov 1994 08:49:38 GMT");
    CHECK(dates.at(from_micros(1'709'164'800'000'000)) == "Thu, 29 Feb 2024 00:00:00 GMT");
}
