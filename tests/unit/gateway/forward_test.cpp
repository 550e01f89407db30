// The gateway as a reverse proxy: what goes on to a module, what comes back, what a client sees
// when something is wrong between them.
#include "forward_support.hpp"
#include "peers/peer_edge.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::gateway::test;

TEST_CASE("a request goes on with what is between its ends, and the rest anew", "[forward]") {
    Answering order(peer_answer("200 OK", "ok"), 4);
    GatewayServer gateway(order.url());
    const auto response = gateway.post(
        "Authorization: Bearer customer\r\n"
        "Connection: close, X-Mine\r\nX-Mine: a\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
        "Upgrade: h2c\r\nProxy-Authorization: x\r\n"
        "Souk-Identity: forged\r\nSouk-Peer-Key: forged\r\nSouk-Operator: 1\r\n"
        "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nForwarded: for=10.1.2.3\r\n"
        "Request-Id: req-7\r\n"
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        "Idempotency-Key: k1\r\nContent-Type: application/json\r\nX-Other: b\r\n",
        "body"
    );
    REQUIRE(body_of(response) == "ok");
    CHECK(order.head().starts_with("POST /api/orders/1 HTTP/1.1\r\n"));
    CHECK(order.body() == "body");
    CHECK(order.field("Host") != "shop");
    CHECK(order.field("Idempotency-Key") == "k1");
    CHECK(order.field("Content-Type") == "application/json");
    CHECK(order.field("X-Other") == "b");
    CHECK(order.field("Request-Id") == "req-7");
    CHECK(order.field("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    CHECK(order.field("traceparent").find("b7ad6b7169203331") == std::string::npos);
    CHECK(order.field("X-Forwarded-For") == "127.0.0.1");
    CHECK(order.field("Forwarded") == "for=127.0.0.1");
    CHECK(order.field("Souk-Peer-Key") == key);
    CHECK_FALSE(order.field("Souk-Deadline-Ms").empty());
    const auto identity = order.field("Souk-Identity");
    security::InternalVerifier verifier({PublicEdge::keys().public_key()});
    auto claims = verifier.verify(identity, base::system_clock().now());
    REQUIRE(claims.has_value());
    CHECK(claims->identity.subject == "usr_1");
    for (const char* gone :
         {"Authorization",
          "Connection",
          "X-Mine",
          "Keep-Alive",
          "TE",
          "Upgrade",
          "Proxy-Authorization",
          "Souk-Operator",
          "X-Forwarded-Proto"}) {
        INFO(gone);
        CHECK(order.field(gone).empty());
    }
    CHECK(count_of(order.head(), "Souk-Identity:") == 1);
    CHECK(count_of(order.head(), "X-Forwarded-For:") == 1);
    CHECK(count_of(order.head(), "Request-Id:") == 1);
    CHECK(count_of(order.head(), "Content-Length:") == 1);
}

TEST_CASE("an answer comes back with what is between its ends", "[forward]") {
    Answering order(
        "HTTP/1.1 201 Created\r\nSouk-Admitted: 1\r\nSouk-Secret: x\r\nContent-Type: text/plain\r\n"
        "Connection: X-Theirs\r\nX-Theirs: a\r\nKeep-Alive: timeout=5\r\n"
        "ETag: \"v2\"\r\nCache-Control: private\r\nIdempotency-Replayed: true\r\n"
        "Location: /api/orders/2\r\nRetry-After: 3\r\nRequest-Id: theirs\r\nRateLimit: theirs\r\n"
        "RateLimit-Policy: theirs\r\n"
        "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
    );
    GatewayServer gateway(order.url());
    const auto response = gateway.get("/api/orders/1", "Request-Id: mine\r\n");
    CHECK(status_of(response) == 201);
    CHECK(body_of(response) == "ok");
    CHECK(field_of(response, "Content-Type") == "text/plain");
    CHECK(field_of(response, "ETag") == "\"v2\"");
    CHECK(field_of(response, "Cache-Control") == "private");
    CHECK(field_of(response, "Idempotency-Replayed") == "true");
    CHECK(field_of(response, "Location") == "/api/orders/2");
    CHECK(field_of(response, "Retry-After") == "3");
    CHECK(field_of(response, "Request-Id") == "mine");
    CHECK(field_of(response, "RateLimit") == "\"browse\";r=9");
    CHECK(field_of(response, "Vary") == "Origin");
    for (const char* once :
         {"Request-Id:", "RateLimit:", "Date:", "Content-Length:", "Content-Type:"})
        CHECK(count_of(response, "\r\n" + std::string(once)) == 1);
    for (const char* gone : {"Souk-", "X-Theirs", "Keep-Alive", "Connection", "2001", "theirs"})
        CHECK(response.find(gone) == std::string::npos);
}

TEST_CASE("a module's faults stay within the shop, its refusals do not", "[forward]") {
    const std::string inside = R"({"status":503,"code":"database_away","detail":"10.0.0.7 is"})";
    const auto problem = [](std::string_view status, std::string_view body) {
        return fmt::format(
            "HTTP/1.1 {}\r\nSouk-Admitted: 1\r\nContent-Type: application/problem+json\r\n"
            "Retry-After: 7\r\nContent-Length: {}\r\n\r\n{}",
            status,
            body.size(),
            body
        );
    };
    SECTION("503") {
        Answering order(problem("503 Service Unavailable", inside));
        const auto response = GatewayServer(order.url()).get("/api/orders/1");
        CHECK(status_of(response) == 503);
        CHECK(field_of(response, "Retry-After") == "7");
        CHECK(body_of(response).find("database_away") != std::string::npos);
        CHECK(body_of(response).find("10.0.0.7") == std::string::npos);
        CHECK(order.requests == 1);  // it is the module's own answer
    }
    SECTION("500 without words") {
        Answering order(peer_answer("500 Internal Server Error", "stack of 10.0.0.7"));
        const auto response = GatewayServer(order.url()).get("/api/orders/1");
        CHECK(status_of(response) == 500);
        CHECK(response.find("10.0.0.7") == std::string::npos);
    }
    SECTION("409") {
        const std::string refused = R"({"status":409,"code":"out_of_stock","detail":"3 are left"})";
        Answering order(problem("409 Conflict", refused));
        const auto response = GatewayServer(order.url()).get("/api/orders/1");
        CHECK(status_of(response) == 409);
        CHECK(body_of(response) == refused);
        CHECK(field_of(response, "Retry-After") == "7");
    }
}

TEST_CASE("a module that is away is named, and the others serve", "[forward]") {
    Answering product(peer_answer("200 OK", "products"));
    const auto said = GENERATE(
        as<std::string>{},
        "(nobody listens)",
        "",
        "rubbish\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: 9\r\n\r\nok"
    );
    Upstream order([&](Talk& talk) {
        if (!talk.head().empty()) talk.say(said);
    });
    const bool nobody = said.starts_with('(');
    GatewayServer gateway(nobody ? dead_url() : order.url(), product.url());
    for (int i = 0; i < 15; ++i)  // a breaker opens on the way
        check_away(gateway.get("/api/orders/1"));
    CHECK(body_of(gateway.get("/api/products")) == "products");
}

TEST_CASE("a module that does not answer is a timeout, and named", "[forward]") {
    Answering product(peer_answer("200 OK", "products"));
    Upstream order([](Talk& talk) { talk.rest(); });
    GatewayServer gateway(order.url(), product.url(), milliseconds(150));
    check_away(gateway.get("/api/orders/1"), 504);
    check_away(gateway.post("", "body"), 504);
    CHECK(body_of(gateway.get("/api/products")) == "products");
}

TEST_CASE("what may be asked again is, what may not is not", "[forward]") {
    std::atomic<int> requests = 0;
    Upstream order([&](Talk& talk) {
        if (talk.head().empty()) return;
        if (++requests == 2) talk.say(peer_answer("200 OK", "second"));
    });
    GatewayServer gateway(order.url());
    SECTION("GET") {
        CHECK(body_of(gateway.get("/api/orders/1")) == "second");
    }
    SECTION("PUT") {
        const auto response =
            gateway.send("PUT /api/orders/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
        CHECK(body_of(response) == "second");
    }
    SECTION("POST") {
        check_away(gateway.post("", "x"));
        CHECK(requests == 1);
    }
    SECTION("POST with a key") {
        const auto response = gateway.post("Idempotency-Key: k\r\n", "x", "/api/orders/1/pay");
        CHECK(body_of(response) == "second");
    }
    SECTION("POST with a key where nobody keeps it") {
        check_away(gateway.post("Idempotency-Key: k\r\n", "x"));
        CHECK(requests == 1);
    }
    SECTION("POST with a key that does not go on") {
        check_away(gateway.post(
            "Idempotency-Key: k\r\nConnection: Idempotency-Key\r\n", "x", "/api/orders/1/pay"
        ));
        CHECK(requests == 1);
    }
    SECTION("POST with a key and a long body") {
        const auto response = gateway.post(
            "Idempotency-Key: k\r\n", std::string(100 * kib, 'x'), "/api/orders/1/pay"
        );
        check_away(response);
        CHECK(requests == 1);
    }
}

TEST_CASE("who drips a body of the usual length keeps no connection to the module", "[forward]") {
    Answering order(peer_answer("200 OK", "ok"));
    GatewayServer gateway(order.url());
    Wire slow(gateway.port());
    slow.send(
        "POST /api/orders/1/notes HTTP/1.1\r\nHost: shop\r\nContent-Length: 200000\r\n\r\n" +
        std::string(150'000, 'x')
    );
    for (int i = 0; i < 3; ++i)
        CHECK(body_of(gateway.get("/api/orders/1")) == "ok");
    CHECK(order.connections() == 1);
}

TEST_CASE("who reads a usual answer slowly keeps no connection to the module", "[forward]") {
    Answering order(peer_answer("200 OK", std::string(900 * kib, 'x')));
    peers::LaneOptions lane;
    lane.connections = 1;
    lane.waiters = 0;
    GatewayServer gateway(order.url(), "", milliseconds(5'000), lane);
    Wire slow(gateway.port());
    slow.send("GET /api/orders/1 HTTP/1.1\r\nHost: shop\r\n\r\n");
    REQUIRE_FALSE(slow.some().empty());
    CHECK(status_of(gateway.get("/api/orders/1")) == 200);
    CHECK(order.connections() == 1);
}

TEST_CASE("conditional answers and HEAD come through", "[forward]") {
    SECTION("the module says 304") {
        Answering order("HTTP/1.1 304 Not Modified\r\nSouk-Admitted: 1\r\nETag: \"v1\"\r\n\r\n");
        GatewayServer gateway(order.url());
        const auto response = gateway.get("/api/orders/1", "If-None-Match: \"v1\"\r\n");
        CHECK(status_of(response) == 304);
        CHECK(field_of(response, "ETag") == "\"v1\"");
        CHECK(order.field("If-None-Match") == "\"v1\"");
    }
    SECTION("the edge makes a 304 of a long answer") {
        Upstream order([](Talk& talk) {
            talk.head();
            talk.say(
                "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nETag: \"v1\"\r\n"
                "Content-Length: 10000000\r\n\r\n"
            );
            talk.rest();
        });
        GatewayServer gateway(order.url());
        const auto response = gateway.get("/api/orders/1", "If-None-Match: \"v1\"\r\n");
        CHECK(status_of(response) == 304);
        CHECK(eventually([&] { return order.over == 1; }));  // nobody reads the rest
    }
    SECTION("HEAD") {
        Answering order(
            "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nETag: \"v1\"\r\nContent-Length: 70000\r\n\r\n"
        );
        GatewayServer gateway(order.url());
        const std::string head = "HEAD /api/orders/1 HTTP/1.1\r\nHost: x\r\n\r\n";
        Wire wire(gateway.port());
        for (int i = 0; i < 2; ++i) {
            wire.send(head);
            const auto response = wire.response(true);
            CHECK(status_of(response) == 200);
            CHECK(field_of(response, "Content-Length") == "70000");
        }
        CHECK(order.head().starts_with("HEAD "));
        CHECK(order.connections() == 1);
    }
}

TEST_CASE("long bodies stream through, both ways", "[forward]") {
    const std::string body(3'000'000, 'b');
    Upstream order([&](Talk& talk) {
        while (!talk.head().empty()) {
            const auto received = talk.body(body.size());
            talk.say(peer_answer("200 OK", received));
        }
    });
    GatewayServer gateway(order.url());
    Wire wire(gateway.port());
    for (int i = 0; i < 2; ++i) {
        wire.send(fmt::format(
            "POST /api/orders/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.size()
        ));
        wire.send(body);
        CHECK(body_of(wire.response()) == body);
    }
}

TEST_CASE("an answer that breaks off upstream breaks off for the client", "[forward]") {
    const auto start = GENERATE(
        as<std::string>{},
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n"
    );
    Upstream order([&](Talk& talk) {
        talk.head();
        talk.say(start + std::string(500'000, 'x'));
    });
    GatewayServer gateway(order.url());
    Wire wire(gateway.port());
    SECTION("HTTP/1.1") {
        wire.send("GET /api/orders/1 HTTP/1.1\r\nHost: x\r\n\r\n");
        const auto response = wire.rest();
        CHECK(status_of(response) == 200);
        CHECK(body_of(response).size() < 1'000'000);
        CHECK_FALSE(response.ends_with("0\r\n\r\n"));
    }
    SECTION("HTTP/1.0") {
        wire.send("GET /api/orders/1 HTTP/1.0\r\nHost: x\r\n\r\n");
        const auto response = wire.rest();
        if (field_of(response, "Content-Length").empty()) CHECK(wire.was_reset());
    }
}

TEST_CASE("a client that goes away in an upload takes the module's request along", "[forward]") {
    std::atomic<std::size_t> received = 0;
    Upstream order([&](Talk& talk) {
        talk.head();
        received = talk.rest().size();
    });
    GatewayServer gateway(order.url());
    Wire wire(gateway.port());
    wire.send(
        "POST /api/orders/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" +
        std::string(100'000, 'x')
    );
    REQUIRE(eventually([&] { return order.connections == 1; }));
    wire.reset();
    CHECK(eventually([&] { return order.over == 1; }));
    CHECK(received < 200'000);
}

TEST_CASE("a client that goes away in a download lets the module go", "[forward]") {
    Upstream order([&](Talk& talk) {
        talk.head();
        talk.say("HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: 200000000\r\n\r\n");
        while (talk.say(std::string(64 * kib, 'x'))) {
        }
    });
    GatewayServer gateway(order.url());
    Wire wire(gateway.port());
    wire.send("GET /api/orders/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE_FALSE(wire.some().empty());
    SECTION("it resets") {
        wire.reset();
        CHECK(eventually([&] { return order.over == 1; }));
    }
    SECTION("it stops reading") {
        CHECK(eventually([&] { return order.over == 1; }));
    }
}

TEST_CASE("a module that refuses a long body early is heard", "[forward]") {
    Upstream order([&](Talk& talk) {
        talk.head();
        talk.say(peer_answer("409 Conflict", "no"));
        talk.rest();
    });
    GatewayServer gateway(order.url());
    Wire wire(gateway.port());
    wire.send(
        "POST /api/orders/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" +
        std::string(100'000, 'x')
    );
    const auto response = wire.response();  // while the client still owes half of its body
    CHECK(status_of(response) == 409);
    CHECK(body_of(response) == "no");
    CHECK(field_of(response, "Connection") == "close");
    CHECK(wire.closed());
}

TEST_CASE("a module's own listener lets the gateway in, for whom it says", "[forward]") {
    Routes theirs;
    theirs.push_back(Route(
        Method::post,
        "/api/orders/{id}",
        Access::signed_in(),
        "",
        [](const CallContext& ctx, const Request& request) -> Task<Result<Response>> {
            co_return Response(
                200,
                "text/plain",
                ctx.identity.subject + " " + std::to_string(request.body.size()) + " " +
                    ctx.request_id + " " + std::string(request.headers.get("Authorization"))
            );
        }
    ));
    peers::PeerEdge edge(
        peers::PeerCredential::shared_key(key),
        security::InternalVerifier({PublicEdge::keys().public_key()}),
        base::system_clock()
    );
    ServerOptions options;
    options.internal = true;
    TestServer module(std::move(theirs), options, &edge);
    GatewayServer gateway("http://127.0.0.1:" + std::to_string(module.port()));
    const std::string signed_in = "Authorization: Bearer customer\r\nRequest-Id: r1\r\n";
    CHECK(body_of(gateway.post(signed_in, "abc")) == "usr_1 3 r1 ");
    CHECK(body_of(gateway.post(signed_in, std::string(900'000, 'x'))) == "usr_1 900000 r1 ");
    CHECK(status_of(gateway.post("", "abc")) == 401);
    // The module's own limit is smaller than this gateway's.
    CHECK(status_of(gateway.post(signed_in, std::string(1'100'000, 'x'))) == 413);
    // What fills the public listener's head fits through the module's, with what is added to it.
    const std::string wide = signed_in + "X-Wide: " + std::string(7'900, 'w') + "\r\n";
    CHECK(status_of(gateway.post(wide, "abc")) == 200);
}
