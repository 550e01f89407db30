// Requests sent on to a peer: bodies that stream both ways, what is tried again and what is not,
// and upstreams that misbehave.
#include "forward_support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;
using http::Method;

TEST_CASE("a request goes on as it is, with the fields of a call", "[forward]") {
    std::string head;
    std::string body;
    Upstream upstream([&](Talk& talk) {
        head = talk.head();
        body = talk.body(4);
        talk.say(peer_answer("201 Created", "made"));
        talk.rest();
    });
    {
        Sender sender(upstream.url());
        auto answer = sender.send(request(Method::post, "body"));
        REQUIRE(answer.has_value());
        CHECK(answer->status == 201);
        CHECK(answer->body == "made");
        CHECK(answer->stream == nullptr);
        CHECK(metric(sender.metrics(), R"(peer_requests_total{outcome="ok",peer="shop"})") == 1);
    }
    CHECK(head.starts_with("POST /api/things?q=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
    CHECK(head.find("Souk-Peer-Key: " + key) != std::string::npos);
    CHECK(head.find("Souk-Deadline-Ms: ") != std::string::npos);
    CHECK(head.find("Content-Length: 4") != std::string::npos);
    CHECK(body == "body");
}

TEST_CASE("a long answer streams, and gives its connection back at its end", "[forward]") {
    const bool chunked = GENERATE(false, true);
    const std::string part(40 * kib, 'p');
    Upstream upstream([&](Talk& talk) {
        while (!talk.head().empty()) {
            if (!chunked) {
                talk.say(long_head(3 * part.size()) + part + part + part);
                continue;
            }
            talk.say("HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
            for (int i = 0; i < 3; ++i)
                talk.say("a000\r\n" + part + "\r\n");
            talk.say("0\r\n\r\n");
        }
    });
    Sender sender(upstream.url());
    for (int i = 0; i < 3; ++i) {
        auto answer = sender.send(request(Method::get));
        REQUIRE(answer.has_value());
        REQUIRE(answer->stream != nullptr);
        CHECK(answer->stream->length().has_value() == !chunked);
        auto body = sender.all(*answer);
        REQUIRE(body.has_value());
        CHECK(*body == part + part + part);
    }
    CHECK(upstream.connections == 1);
}

TEST_CASE("who lets go of half an answer ends its connection", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(long_head(kib * kib) + std::string(100 * kib, 'x'));
        talk.rest();
    });
    Sender sender(upstream.url());
    auto answer = sender.send(request(Method::get));
    REQUIRE(answer.has_value());
    REQUIRE(sender.one(*answer).has_value());
    CHECK(upstream.over == 0);
    sender.drop(*answer);
    CHECK(eventually([&] { return upstream.over == 1; }));
}

TEST_CASE("an endless answer waits for its reader", "[forward]") {
    std::atomic<std::size_t> said = 0;
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(long_head(std::size_t{200} << 20));
        const std::string part(64 * kib, 'x');
        while (talk.say(part))
            said = talk.said;
    });
    Sender sender(upstream.url());
    auto answer = sender.send(request(Method::get));
    REQUIRE(answer.has_value());
    // It stands still at what the sockets hold: seen often enough in a row.
    std::size_t before = 1;
    for (int still = 0; still < 50 && said < socket_buffers;) {
        still = before == said ? still + 1 : 0;
        before = said;
        std::this_thread::sleep_for(milliseconds(2));
    }
    CHECK(said < socket_buffers);
    for (int i = 0; i < 10; ++i)
        REQUIRE(sender.one(*answer).value().size() <= 64 * kib);
    sender.drop(*answer);
    CHECK(eventually([&] { return upstream.over == 1; }));
}

TEST_CASE("an answer longer than any of ours is not begun, or is broken off", "[forward]") {
    const bool announced = GENERATE(true, false);
    Upstream upstream([&](Talk& talk) {
        talk.head();
        if (announced) {
            talk.say(long_head(99'999'999'999));
        } else {
            talk.say("HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        }
        const std::string part(0xa000, 'p');
        while (talk.say("a000\r\n" + part + "\r\n")) {
        }
    });
    LaneOptions lane;
    if (!announced) lane.streamed_bytes = 1'000 * kib;
    Sender sender(upstream.url(), lane);
    auto answer = sender.send(request(Method::get));
    if (announced) {
        CHECK(code_of(answer) == "peer_unavailable");
        return;
    }
    REQUIRE(answer.has_value());
    CHECK(sender.all(*answer).has_error());
    CHECK(eventually([&] { return upstream.over == 1; }));
}

TEST_CASE("an answer that drips is given up, however often a byte comes", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(long_head(kib * kib));
        while (talk.say("x"))
            std::this_thread::sleep_for(milliseconds(5));
    });
    LaneOptions lane;
    lane.part_timeout = milliseconds(100);
    Sender sender(upstream.url(), lane);
    auto answer = sender.send(request(Method::get));
    REQUIRE(answer.has_value());
    CHECK(sender.all(*answer).has_error());
}

TEST_CASE("an answer that breaks off is a fault, never an end", "[forward]") {
    const std::string half(100 * kib, 'x');
    const auto start = GENERATE_COPY(
        as<std::string>{},
        long_head(kib * kib),
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n"
    );
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(start + half);
    });
    Sender sender(upstream.url());
    auto answer = sender.send(request(Method::get));
    REQUIRE(answer.has_value());
    auto body = sender.all(*answer);
    REQUIRE(body.has_error());
    CHECK(body.error().kind == ErrorKind::unavailable);
}

TEST_CASE("an answer that falls silent is given up", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(long_head(kib * kib) + std::string(kib, 'x'));
        talk.rest();
    });
    LaneOptions lane;
    lane.part_timeout = milliseconds(60);
    Sender sender(upstream.url(), lane);
    auto answer = sender.send(request(Method::get));
    REQUIRE(answer.has_value());
    CHECK(sender.all(*answer).has_error());
    CHECK(eventually([&] { return upstream.over == 1; }));
}

TEST_CASE("what is no peer's answer means that the peer is away", "[forward]") {
    const auto said = GENERATE(
        as<std::string>{},
        "",
        "rubbish\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: 5\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'a')
    );
    std::atomic<int> requests = 0;
    Upstream upstream([&](Talk& talk) {
        if (talk.head().empty()) return;
        ++requests;
        talk.say(said);
    });
    Sender sender(upstream.url());
    CHECK(code_of(sender.send(request(Method::post))) == "peer_unavailable");
    CHECK(requests == 1);  // it may have been executed
}

TEST_CASE("only what may be repeated is tried again after it was sent", "[forward]") {
    std::atomic<int> requests = 0;
    Upstream upstream([&](Talk& talk) {
        if (!talk.head().empty()) ++requests;
    });
    Sender sender(upstream.url());
    SECTION("not a POST") {
        CHECK(code_of(sender.send(request(Method::post, "x"))) == "peer_unavailable");
        CHECK(requests == 1);
    }
    SECTION("what says so") {
        CHECK(code_of(sender.send(repeatable(request(Method::post, "x")))) == "peer_unavailable");
        CHECK(requests == 3);
    }
    SECTION("never what streams") {
        CHECK(code_of(sender.send(upload(source(200 * kib)))) == "peer_unavailable");
        CHECK(requests == 1);
    }
}

TEST_CASE(
    "a kept connection that ends without an answer is replaced for what may be repeated",
    "[forward]"
) {
    std::atomic<int> requests = 0;
    Upstream upstream([&](Talk& talk) {
        talk.head();
        ++requests;
        talk.say(peer_answer("200 OK", "first"));
        if (!talk.head().empty()) ++requests;  // and not a word
    });
    Sender sender(upstream.url());
    REQUIRE(code_of(sender.send(request(Method::get))) == "200");
    SECTION("a POST is not") {
        CHECK(code_of(sender.send(request(Method::post))) == "peer_unavailable");
        CHECK(requests == 2);
    }
    SECTION("a GET is, for free") {
        CHECK(code_of(sender.send(repeatable(request(Method::get)))) == "200");
        CHECK(requests == 3);
    }
    SECTION("what streams takes no kept connection") {
        auto body = source(200 * kib);
        CHECK(code_of(sender.send(upload(body))) == "200");
    }
}

TEST_CASE("what was not sent is sent elsewhere, whatever it is", "[forward]") {
    std::atomic<int> served = 0;
    Upstream upstream([&](Talk& talk) {
        while (!talk.head().empty()) {
            talk.body(200 * kib);
            ++served;
            talk.say(peer_answer("200 OK", "here"));
        }
    });
    Sender sender("http://127.0.0.1:" + std::to_string(dead_port()) + "," + upstream.url());
    for (int i = 0; i < 8; ++i) {
        auto body = source(200 * kib);
        body->announced = 200 * kib;
        REQUIRE(code_of(sender.send(upload(body))) == "200");
    }
    CHECK(served == 8);
}

TEST_CASE("a body streams up", "[forward]") {
    const bool announced = GENERATE(false, true);
    std::string head;
    std::atomic<std::size_t> received = 0;
    Upstream upstream([&](Talk& talk) {
        head = talk.head();
        if (announced) {
            received = talk.body(300 * kib).size();
        } else {
            std::string body;
            while (body.find("0\r\n\r\n") == std::string::npos)
                body += talk.body(1);
            received = static_cast<std::size_t>(std::count(body.begin(), body.end(), 's'));
        }
        talk.say(peer_answer("200 OK", "thanks"));
        talk.rest();
    });
    Sender sender(upstream.url());
    auto body = source(300 * kib);
    if (announced) body->announced = 300 * kib;
    CHECK(code_of(sender.send(upload(body))) == "200");
    CHECK(received == 300 * kib);
    CHECK((head.find("Content-Length: 307200\r\n") != std::string::npos) == announced);
    CHECK((head.find("Transfer-Encoding: chunked\r\n") != std::string::npos) != announced);
}

TEST_CASE("an upstream that reads nothing stops the source, and is given up", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say("HTTP/1.1 100 Continue\r\n\r\n");
        std::this_thread::sleep_for(milliseconds(1));
        talk.body(1);
        std::this_thread::sleep_for(seconds(2));
    });
    Sender sender(upstream.url());
    auto body = source(std::size_t{1} << 40);
    CHECK(code_of(sender.send(upload(body), milliseconds(300))) == "timeout");
    CHECK(body->taken < socket_buffers);
}

TEST_CASE("silence after the body is a timeout", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.rest();
    });
    Sender sender(upstream.url());
    std::shared_ptr<Outgoing> asked = request(Method::post, "x");
    if (GENERATE(false, true)) asked = upload(source(100 * kib));
    CHECK(code_of(sender.send(asked, milliseconds(150))) == "timeout");
}

TEST_CASE("the time for an answer begins when the body was sent", "[forward]") {
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.body(100 * kib);
        talk.say(peer_answer("200 OK", "at last"));
        talk.rest();
    });
    Sender sender(upstream.url());
    auto body = source(50 * kib, Source::Then::silence);
    body->announced = 100 * kib;
    auto answer = sender.begin(upload(body), milliseconds(100));
    // The client takes its time, which is the listener's to limit.
    std::this_thread::sleep_for(milliseconds(250));
    CHECK(answer.wait_for(milliseconds(0)) == std::future_status::timeout);
    body->left = 50 * kib;
    body->released = true;
    CHECK(code_of(answer.get()) == "200");
}

TEST_CASE("an answer before the end of the body is heard", "[forward]") {
    const auto then = GENERATE(Source::Then::end, Source::Then::silence);
    Upstream upstream([&](Talk& talk) {
        talk.head();
        talk.say(peer_answer("413 Content Too Large", "no"));
        talk.rest();
    });
    Sender sender(upstream.url());
    const bool endless = then == Source::Then::end;
    auto body = source(endless ? std::size_t{1} << 40 : 100 * kib, then);
    auto answer = sender.send(upload(body));
    CHECK(code_of(answer) == "413");
    CHECK(answer->body == "no");
    CHECK(eventually([&] { return upstream.over == 1; }));  // it cannot serve again
    body->released = true;
    CHECK(body->taken < socket_buffers);
}

TEST_CASE("a body that breaks off at its source is the asker's fault", "[forward]") {
    std::string received;
    Upstream upstream([&](Talk& talk) {
        talk.head();
        received = talk.rest();
    });
    Sender sender(upstream.url());
    for (int i = 0; i < 12; ++i)  // more than a breaker takes
        CHECK(code_of(sender.send(upload(source(100 * kib, Source::Then::fault)))) == "big");
    CHECK(metric(sender.metrics(), R"(peer_breaker_open{peer="shop"})") == 0);
    CHECK(eventually([&] { return upstream.over == 12; }));
    CHECK_FALSE(received.ends_with("0\r\n\r\n"));  // nobody takes it for whole
}

TEST_CASE("calls of an Api and requests sent on share one breaker", "[forward]") {
    Caller caller("http://127.0.0.1:" + std::to_string(dead_port()));
    for (int i = 0; i < 12; ++i)
        CHECK(caller.call("echo").has_error());
    auto answer = caller.forward(request(Method::get));
    REQUIRE(answer.has_error());
    CHECK(answer.error().detail == "shop: is not called, for it failed lately");
}
