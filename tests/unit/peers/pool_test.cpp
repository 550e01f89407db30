// Several endpoints, failures, limits: what a pool promises.
#include "peers/breaker.hpp"
#include "peers/retry_budget.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

const std::string ok =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

std::string dead_url() {
    return "http://127.0.0.1:" + std::to_string(dead_port());
}

SteadyTime at(milliseconds time) {
    return SteadyTime(seconds(1'000)) + time;
}

using Calls = std::vector<std::future<Result<json::value>>>;

}  // namespace

TEST_CASE("the less busy endpoint is chosen", "[peers]") {
    PeerServer busy;
    busy.seen.hold = true;
    Calls held;
    {
        PeerServer idle;
        Caller caller(busy.url() + "," + idle.url());
        // Until one of them holds a call: the first choice is free.
        idle.seen.hold = true;
        held.push_back(caller.start_call("hold", caller.context()));
        REQUIRE(eventually([&] { return busy.seen.held + idle.seen.held == 1; }));
        auto& other = busy.seen.held == 1 ? idle.seen : busy.seen;
        const int before = other.calls;
        for (int i = 0; i < 20; ++i)
            REQUIRE(caller.call("echo").has_value());
        CHECK(other.calls - before == 20);
        idle.seen.hold = false;
        busy.seen.hold = false;
        CHECK(held.front().get().has_value());
    }
}

TEST_CASE("an endpoint that fails is ejected, and used again when it is back", "[peers]") {
    const std::uint16_t port = dead_port();
    PeerServer sound;
    Caller caller("http://127.0.0.1:" + std::to_string(port) + "," + sound.url());
    for (int i = 0; i < 20; ++i)
        REQUIRE(caller.call("echo").has_value());  // a retry finds the sound one
    CHECK(sound.seen.calls == 20);
    http::ServerOptions options;
    options.port = port;
    PeerServer back(options);
    CHECK(eventually([&] {
        REQUIRE(caller.call("echo").has_value());
        return back.seen.calls > 0;
    }));
}

TEST_CASE("an ejected endpoint gets no call", "[peers]") {
    Scripted broken("");  // accepts, and hangs up at each request
    PeerServer sound;
    Caller caller(broken.url() + "," + sound.url());
    for (int i = 0; i < 200 && broken.requests < 3; ++i)
        REQUIRE(caller.call("echo").has_value());
    REQUIRE(broken.requests == 3);
    for (int i = 0; i < 50; ++i)
        REQUIRE(caller.call("echo").has_value());
    // More only if a second has gone by since.
    CHECK(broken.requests <= 4);
}

TEST_CASE("an endpoint's ejections grow", "[peers]") {
    Endpoint endpoint(Address("a", 1, false), asio::ip::make_address("127.0.0.1"));
    CHECK_FALSE(endpoint.failed());
    CHECK_FALSE(endpoint.failed());
    CHECK(endpoint.failed());
    endpoint.eject(at(milliseconds(0)));
    CHECK(endpoint.is_ejected(at(milliseconds(999))));
    CHECK_FALSE(endpoint.is_ejected(at(milliseconds(1'000))));
    CHECK(endpoint.failed());  // the next failure is enough
    endpoint.eject(at(milliseconds(1'000)));
    CHECK(endpoint.is_ejected(at(milliseconds(2'999))));
    endpoint.succeeded();
    CHECK_FALSE(endpoint.failed());
}

TEST_CASE("the last endpoint is never ejected", "[peers]") {
    const std::uint16_t port = dead_port();
    Caller caller("http://127.0.0.1:" + std::to_string(port) + "," + dead_url());
    for (int i = 0; i < 5; ++i)
        CHECK(caller.call("echo").has_error());
    http::ServerOptions options;
    options.port = port;
    PeerServer back(options);
    CHECK(eventually([&] { return caller.call("echo").has_value(); }));
}

TEST_CASE("a name that moves is followed", "[peers]") {
    PeerServer first;
    http::ServerOptions options;
    options.address = "127.0.0.2";
    options.port = first.port();
    PeerServer second(options);
    Names names;
    names.set("shop.test", {"127.0.0.1"});
    RemoteOptions remote;
    remote.resolve_every = milliseconds(20);
    Caller caller("http://shop.test:" + std::to_string(first.port()), remote, &names);
    REQUIRE(caller.call("echo").has_value());
    CHECK(first.seen.calls == 1);
    names.set("shop.test", {"127.0.0.2"});
    CHECK(eventually([&] {
        REQUIRE(caller.call("echo").has_value());
        return second.seen.calls > 0;
    }));
    const int before = first.seen.calls;
    for (int i = 0; i < 20; ++i)
        REQUIRE(caller.call("echo").has_value());
    CHECK(first.seen.calls == before);
    // What DNS has no answer for stays where it was.
    names.set("shop.test", {});
    const int asked = names.asked;
    REQUIRE(eventually([&] { return names.asked > asked + 2; }));
    CHECK(caller.call("echo").has_value());
}

TEST_CASE(
    "a name that is not known yet is waited for no longer than it takes to say so", "[peers]"
) {
    Names names;
    PeerServer server;
    RemoteOptions remote;
    remote.resolve_every = milliseconds(20);
    Caller caller("http://shop.test:" + std::to_string(server.port()), remote, &names);
    auto unknown = caller.call("echo");
    REQUIRE(unknown.has_error());
    CHECK(unknown.error().code == "peer_unavailable");
    names.set("shop.test", {"127.0.0.1"});
    CHECK(eventually([&] { return caller.call("echo").has_value(); }));
}

TEST_CASE("a name is looked up again when its addresses fail", "[peers]") {
    http::ServerOptions options;
    options.address = "127.0.0.2";
    PeerServer moved(options);
    Names names;
    names.set("shop.test", {"127.0.0.1"});  // nobody listens there any more
    RemoteOptions remote;
    remote.resolve_every = std::chrono::hours(1);
    Caller caller("http://shop.test:" + std::to_string(moved.port()), remote, &names);
    REQUIRE(caller.call("echo").has_error());
    names.set("shop.test", {"127.0.0.2"});
    CHECK(eventually([&] { return caller.call("echo").has_value(); }));
    CHECK(names.asked <= 5);  // at most once a second, however many calls fail
}

TEST_CASE("a dead peer causes no more extra calls than the budget has", "[peers]") {
    Scripted dead("");
    Caller caller(dead.url());
    int calls = 0;
    for (; calls < 100; ++calls)
        REQUIRE(caller.call("echo").has_error());
    const int opened = static_cast<int>(
        metric(caller.metrics(), R"(peer_requests_total{outcome="breaker_open",peer="shop"})")
    );
    const int made = calls - opened;
    CHECK(dead.requests <= made + RetryBudget::constant + made / 5);
    CHECK(opened > 0);
}

TEST_CASE("a peer in trouble gets a fifth more calls, not half", "[peers]") {
    Scripted shaky(ok);
    shaky.garbage_every = 3;  // too seldom for the breaker
    Caller caller(shaky.url());
    const int calls = 300;
    const auto began = std::chrono::steady_clock::now();
    int answered = 0;
    for (int i = 0; i < calls; ++i)
        answered += caller.call("echo").has_value() ? 1 : 0;
    const auto taken = std::chrono::steady_clock::now() - began;
    const int refilled = static_cast<int>(std::chrono::ceil<seconds>(taken).count());
    const int extra = shaky.requests - calls;
    CHECK(extra <= RetryBudget::constant + calls / 5 + refilled);
    CHECK(extra >= calls / 5);
    CHECK(answered < calls);  // what the budget did not cover was told
}

TEST_CASE("the budget is a fifth of the calls and ten besides", "[peers]") {
    RetryBudget budget;
    int retries = 0;
    for (int i = 0; i < 1'000; ++i) {
        budget.called();
        if (budget.take(at(milliseconds(0)))) ++retries;
    }
    CHECK(retries >= 200);
    CHECK(retries <= 200 + RetryBudget::constant);
    // A quiet peer gets one a second back, and not those of a long night at once.
    RetryBudget quiet;
    int spent = 0;
    while (quiet.take(at(milliseconds(0))))
        ++spent;
    CHECK(spent == RetryBudget::constant);
    CHECK(quiet.take(at(milliseconds(1'000))));
    CHECK_FALSE(quiet.take(at(milliseconds(1'000))));
    CHECK(quiet.take(at(seconds(30'000))));
    CHECK_FALSE(quiet.take(at(seconds(30'000))));
}

TEST_CASE("the breaker opens on the rate of failures, and closes on a probe", "[peers]") {
    using Entry = Breaker::Entry;
    Breaker breaker;
    for (int i = 0; i < 9; ++i)
        breaker.failed(breaker.enter(at(milliseconds(0))), at(milliseconds(0)));
    CHECK(breaker.enter(at(milliseconds(0))) == Entry::pass);  // too few to judge
    breaker.failed(Entry::pass, at(milliseconds(0)));
    CHECK(breaker.is_open());
    CHECK(breaker.enter(at(milliseconds(999))) == Entry::refused);
    CHECK(breaker.enter(at(milliseconds(1'000))) == Entry::probe);
    CHECK(breaker.enter(at(milliseconds(1'000))) == Entry::refused);  // one at a time
    breaker.failed(Entry::probe, at(milliseconds(1'100)));
    CHECK(breaker.enter(at(milliseconds(2'099))) == Entry::refused);
    CHECK(breaker.enter(at(milliseconds(2'100))) == Entry::probe);
    breaker.abandoned(Entry::probe);
    CHECK(breaker.enter(at(milliseconds(2'100))) == Entry::probe);
    breaker.succeeded(Entry::probe, at(milliseconds(2'200)));
    CHECK_FALSE(breaker.is_open());
    breaker.failed(breaker.enter(at(milliseconds(2'300))), at(milliseconds(2'300)));
    CHECK_FALSE(breaker.is_open());  // the past is forgotten
}

TEST_CASE("a few failures among many calls open nothing, nor do old ones", "[peers]") {
    Breaker breaker;
    for (int i = 0; i < 100; ++i) {
        breaker.succeeded(Breaker::Entry::pass, at(milliseconds(0)));
        if (i % 3 == 0) breaker.failed(Breaker::Entry::pass, at(milliseconds(0)));
    }
    CHECK_FALSE(breaker.is_open());
    Breaker old;
    for (int i = 0; i < 20; ++i)
        old.failed(Breaker::Entry::pass, at(seconds(3 * i)));
    CHECK_FALSE(old.is_open());
}

TEST_CASE("an open breaker answers at once, and finds a peer that is back", "[peers]") {
    const std::uint16_t port = dead_port();
    Caller caller("http://127.0.0.1:" + std::to_string(port));
    const auto is_open = [&] {
        return metric(caller.metrics(), R"(peer_breaker_open{peer="shop"})") == 1;
    };
    REQUIRE(eventually([&] {
        CHECK(caller.call("echo").has_error());
        return is_open();
    }));
    auto refused = caller.call("echo");
    REQUIRE(refused.has_error());
    CHECK(refused.error().kind == ErrorKind::unavailable);
    CHECK(refused.error().code == "peer_unavailable");
    CHECK(refused.error().retry_after_s == 1);
    http::ServerOptions options;
    options.port = port;
    PeerServer back(options);
    CHECK(eventually([&] { return caller.call("echo").has_value(); }));
    CHECK_FALSE(is_open());
}

TEST_CASE("connections and waiters are bounded", "[peers]") {
    PeerServer server;
    server.seen.hold = true;
    RemoteOptions options;
    options.lane.connections = 2;
    options.lane.waiters = 3;
    Caller caller(server.url(), options);
    REQUIRE(caller.call("echo").has_value());
    Calls calls;
    for (int i = 0; i < 2; ++i)
        calls.push_back(caller.start_call("hold", caller.context()));
    REQUIRE(eventually([&] { return server.seen.held == 2; }));
    for (int i = 0; i < 3; ++i)
        calls.push_back(caller.start_call("echo", caller.context()));
    auto full = caller.call("echo");
    REQUIRE(full.has_error());
    CHECK(full.error().code == "peer_unavailable");
    CHECK(full.error().retry_after_s == 1);
    CHECK(
        metric(caller.metrics(), R"(peer_requests_total{outcome="overloaded",peer="shop"})") == 1
    );
    server.seen.hold = false;
    for (auto& call : calls)
        CHECK(call.get().has_value());
    CHECK(caller.call("echo").has_value());
}

TEST_CASE("who waits for a connection waits no longer than the deadline", "[peers]") {
    PeerServer server;
    server.seen.hold = true;
    RemoteOptions options;
    options.lane.connections = 1;
    Caller caller(server.url(), options);
    auto held = caller.start_call("hold", caller.context(seconds(30)));
    REQUIRE(eventually([&] { return server.seen.held == 1; }));
    auto late = caller.call("echo", milliseconds(50));
    REQUIRE(late.has_error());
    CHECK(late.error().code == "peer_unavailable");
    server.seen.hold = false;
    CHECK(held.get().has_value());
    CHECK(caller.call("echo").has_value());
}

TEST_CASE("idle connections are closed", "[peers]") {
    Scripted server(ok);
    RemoteOptions options;
    options.lane.idle_timeout = milliseconds(20);
    Caller caller(server.url(), options);
    REQUIRE(caller.call("echo").has_value());
    CHECK(eventually([&] { return server.ended == 1; }));
    REQUIRE(caller.call("echo").has_value());
    CHECK(server.connections == 2);
}

TEST_CASE("many calls at once are all answered", "[peers]") {
    PeerServer one;
    PeerServer two;
    RemoteOptions options;
    options.lane.connections = 4;
    options.lane.waiters = 1'000;
    Caller caller(one.url() + "," + two.url(), options);
    Calls calls;
    for (int i = 0; i < 500; ++i)
        calls.push_back(caller.start_call("echo", caller.context(seconds(30))));
    int answered = 0;
    for (auto& call : calls)
        answered += call.get().has_value() ? 1 : 0;
    CHECK(answered == 500);
    CHECK(one.seen.calls + two.seen.calls == 500);
    CHECK(one.seen.calls > 100);
    CHECK(two.seen.calls > 100);
}

TEST_CASE("threads call side by side, each on its own connections", "[peers]") {
    PeerServer one;
    PeerServer two;
    Loop first;
    Loop second;
    Names names;
    auto metrics = observe::make_metrics();
    RemoteOptions options;
    options.module = "shop";
    options.addresses = one.url() + "," + two.url();
    options.peer_key = key;
    auto remote = HttpRemote::make(
        options, {first.executor(), second.executor()}, base::system_clock(), *metrics, names
    );
    REQUIRE(remote.has_value());
    Calls calls;
    for (int i = 0; i < 200; ++i)
        for (Loop* loop : {&first, &second})
            calls.push_back(start(
                loop->executor(),
                call_with(
                    **remote,
                    "echo",
                    CallContext(Deadline(base::system_clock(), seconds(30))),
                    json::object()
                )
            ));
    int answered = 0;
    for (auto& call : calls)
        answered += call.get().has_value() ? 1 : 0;
    CHECK(answered == 400);
    asio::co_spawn(second.executor(), (*remote)->stop(), asio::use_future).get();
    first.end();
    second.end();
}

TEST_CASE("a peer that takes no connection is given up after the connect timeout", "[peers]") {
    // A queue of one that nobody empties: the kernel drops what comes after.
    const FullListener full;
    RemoteOptions options;
    options.lane.connect_timeout = milliseconds(30);
    Caller caller("http://127.0.0.1:" + std::to_string(full.port()), options);
    auto away = caller.call("echo", seconds(60));
    REQUIRE(away.has_error());
    CHECK(away.error().code == "peer_unavailable");
    CHECK(away.error().detail.find("cannot connect") != std::string::npos);
}

TEST_CASE("a remote that was stopped ends its calls, and refuses", "[peers]") {
    Scripted silent{std::string(Scripted::silence)};
    Caller caller(silent.url());
    auto waiting = caller.start_call("echo", caller.context(seconds(3'600)));
    REQUIRE(eventually([&] { return silent.requests == 1; }));
    caller.stop();
    CHECK(waiting.get().error().code == "peer_unavailable");
    CHECK(caller.call("echo").error().code == "peer_unavailable");
    CHECK(silent.requests == 1);
}

namespace {

/// A DNS that says nothing, until it is told to, or for ten seconds.
class SilentNames final : public Resolver {
public:
    Task<Result<std::vector<asio::ip::address>>> resolve(std::string host) override {
        ++asked;
        for (int i = 0; i < 1'000 && !released; ++i)
            co_await base::system_clock().sleep(milliseconds(10));
        gave_up = true;
        co_return unavailable("resolve", host);
    }
    std::atomic<int> asked = 0;
    std::atomic<bool> released = false;
    std::atomic<bool> gave_up = false;
};

}  // namespace

TEST_CASE("a remote stops while its name is looked up", "[peers]") {
    SilentNames names;
    Caller caller("http://shop.example:1,http://other.example:1", {}, &names);
    REQUIRE(eventually([&] { return names.asked == 1; }));
    caller.stop();
    CHECK_FALSE(names.gave_up);
    names.released = true;
    CHECK(eventually([&] { return names.gave_up == true; }));
    CHECK(caller.call("echo").error().code == "peer_unavailable");
    CHECK(names.asked == 1);
}
