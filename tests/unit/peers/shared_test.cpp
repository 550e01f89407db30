// Requests that share a connection: the listener's part by a socket, the pool's part with upstreams
// that do as they are told.
#include "forward_support.hpp"
#include "http/shared_connection.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;
using http::Method;

namespace {

/// A client of the listener that sends what it likes.
class Raw {
public:
    explicit Raw(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)), talk_(socket_) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
            throw std::runtime_error("cannot connect");
    }
    ~Raw() { ::close(socket_); }
    Raw(const Raw&) = delete;
    void say(const std::string& bytes) { talk_.say(bytes); }
    /// Head and body of the next answer; empty at the end.
    std::string answer() {
        auto head = talk_.head();
        const auto at = head.find("Content-Length: ");
        if (at != std::string::npos) head += talk_.body(std::stoul(head.substr(at + 16)));
        return head;
    }

private:
    int socket_;
    Talk talk_;
};

std::string numbered(std::string_view path, int number) {
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: x\r\nSouk-Peer-Key: {}\r\nSouk-Exchange: {}\r\n\r\n",
        path,
        key,
        number
    );
}

bool is_of(const std::string& answer, int number) {
    return answer.find(fmt::format("Souk-Exchange: {}\r\n", number)) != std::string::npos;
}

/// The number in a head; 0 without.
int number_in(const std::string& head) {
    const auto at = head.find("Souk-Exchange: ");
    return at == std::string::npos ? 0 : std::stoi(head.substr(at + 15));
}

std::string shared_answer(int number, std::string_view body) {
    return fmt::format(
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 2\r\nSouk-Exchange: {}\r\nContent-Length: {}\r\n\r\n{}",
        number,
        body.size(),
        body
    );
}

/// Answers alone what comes alone, and knows how to share; `shared` has what comes with a number.
Upstream::Script sharing(std::function<void(Talk&, std::string head, int number)> shared) {
    return [shared = std::move(shared)](Talk& talk) {
        for (std::string head; !(head = talk.head()).empty();) {
            const int number = number_in(head);
            if (number > 0)
                shared(talk, head, number);
            else
                talk.say("HTTP/1.1 200 OK\r\nSouk-Admitted: 2\r\nContent-Length: 5\r\n\r\nalone");
        }
    };
}

std::shared_ptr<Outgoing> get(std::string target) {
    auto out = std::make_shared<Outgoing>(Method::get, std::move(target), http::Headers());
    out->repeatable = true;
    return out;
}

/// Until requests share a connection.
bool warm(Sender& sender) {
    return eventually([&] {
        auto answer = sender.send(get("/warm"));
        return answer && answer->headers.has("Souk-Exchange");
    });
}

}  // namespace

TEST_CASE("a slow answer on a shared connection holds up nobody", "[shared]") {
    PeerServer server;
    server.seen.hold = true;
    Raw raw(server.port());
    raw.say(numbered("/api/held", 1) + numbered("/api/quick", 2) + numbered("/api/quick", 3));
    for (const int number : {2, 3}) {
        const auto answer = raw.answer();
        CHECK(is_of(answer, number));
        CHECK(answer.ends_with("quick"));
    }
    server.seen.hold = false;
    const auto answer = raw.answer();
    CHECK(is_of(answer, 1));
    CHECK(answer.ends_with("held"));
}

TEST_CASE("a connection takes so many requests at a time, and then the rest", "[shared]") {
    PeerServer server;
    server.seen.hold = true;
    Raw raw(server.port());
    for (int i = 1; i <= 100; ++i)
        raw.say(numbered("/api/held", i));
    CHECK(eventually([&] { return server.seen.held == 64; }));
    Raw other(server.port());
    other.say(numbered("/api/quick", 1));
    CHECK(other.answer().ends_with("quick"));
    CHECK(server.seen.calls == 64);
    server.seen.hold = false;
    for (int i = 1; i <= 100; ++i)
        CHECK(raw.answer().ends_with("held"));
}

TEST_CASE("a long answer is not given on a shared connection", "[shared]") {
    PeerServer server;
    Raw raw(server.port());
    raw.say(numbered("/api/long", 1) + numbered("/api/quick", 2));
    const auto answer = raw.answer();
    CHECK(answer.starts_with("HTTP/1.1 421"));
    CHECK(is_of(answer, 1));
    CHECK(answer.find("Souk-Alone: 1") != std::string::npos);
    CHECK(raw.answer().ends_with("quick"));
}

TEST_CASE("many long answers at a time do not end a shared connection's requests", "[shared]") {
    PeerServer server;
    Raw raw(server.port());
    std::string all;
    for (int i = 1; i <= 30; ++i)
        all += numbered("/api/wide", i);
    raw.say(all);
    for (int i = 1; i <= 30; ++i)
        CHECK(is_of(raw.answer(), i));
}

TEST_CASE("who reads no answers and leaves holds nothing of the server", "[shared]") {
    http::ServerOptions options;
    options.limits.connections = 1;
    PeerServer server(options);
    {
        Raw raw(server.port());
        std::string all;
        for (int i = 1; i <= 400; ++i)
            all += numbered("/api/wide", i);
        raw.say(all);
        CHECK(is_of(raw.answer(), 1));
    }
    CHECK(eventually([&] {
        Raw next(server.port());
        next.say(numbered("/api/quick", 1));
        return is_of(next.answer(), 1);
    }));
}

TEST_CASE(
    "a request that comes when a server that stops waits for none ends no other", "[shared]"
) {
    http::ServerOptions options;
    options.limits.drain_grace = milliseconds(0);
    PeerServer server(options);
    server.seen.hold = true;
    Raw raw(server.port());
    raw.say(numbered("/api/held", 1));
    CHECK(eventually([&] { return server.seen.held == 1; }));
    auto stopped = std::async(std::launch::async, [&] { server.stop(); });
    CHECK(eventually([&] {
        try {
            Raw late(server.port());
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    }));
    raw.say(numbered("/api/quick", 2));
    CHECK(is_of(raw.answer(), 2));
    server.seen.hold = false;
    CHECK(is_of(raw.answer(), 1));
    stopped.get();
}

TEST_CASE("a peer must show who it is for each request of a shared connection", "[shared]") {
    PeerServer server;
    Raw raw(server.port());
    raw.say(numbered("/api/quick", 1));
    raw.say("GET /api/quick HTTP/1.1\r\nHost: x\r\nSouk-Exchange: 2\r\n\r\n");
    CHECK(raw.answer().ends_with("quick"));
    const auto refused = raw.answer();
    CHECK(refused.starts_with("HTTP/1.1 401"));
    CHECK(is_of(refused, 2));
    CHECK(refused.find("Souk-Admitted") == std::string::npos);
}

TEST_CASE("who stops answers what is under way on a shared connection", "[shared]") {
    PeerServer server;
    server.seen.hold = true;
    Raw raw(server.port());
    raw.say(numbered("/api/held", 1) + numbered("/api/held", 2));
    CHECK(eventually([&] { return server.seen.held == 2; }));
    auto stopped = std::async(std::launch::async, [&] { server.stop(); });
    CHECK(eventually([&] {  // nobody new comes in: it has begun to stop
        try {
            Raw late(server.port());
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    }));
    server.seen.hold = false;
    for (int i = 0; i < 2; ++i) {
        const auto answer = raw.answer();
        CHECK(answer.ends_with("held"));
        CHECK(answer.find("Connection: close") != std::string::npos);
    }
    stopped.get();
    CHECK(raw.answer().empty());
}

TEST_CASE("a shared connection ends at a request that does not fit there", "[shared]") {
    PeerServer server;
    server.seen.hold = true;
    const std::string after = GENERATE(
        "POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "GET /api/quick HTTP/1.1\r\nHost: x\r\n\r\n",
        "rubbish\r\n\r\n"
    );
    Raw raw(server.port());
    raw.say(numbered("/api/held", 1) + after);
    CHECK(raw.answer().empty());
}

TEST_CASE("requests share a connection, and each gets its own answer in any order", "[shared]") {
    std::map<int, std::string> waiting;
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /warm")) {
            talk.say(shared_answer(number, ""));
            return;
        }
        waiting[number] = head.substr(4, head.find(' ', 4) - 4);
        if (waiting.size() < 20) return;
        std::string all;
        for (auto one = waiting.rbegin(); one != waiting.rend(); ++one)
            all += shared_answer(one->first, one->second);
        talk.say(all);
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    std::vector<std::future<Result<Response>>> answers;
    for (int i = 0; i < 20; ++i)
        answers.push_back(sender.begin(get(fmt::format("/things/{}", i))));
    for (int i = 0; i < 20; ++i) {
        auto answer = answers[static_cast<std::size_t>(i)].get();
        REQUIRE(answer.has_value());
        CHECK(answer->body == fmt::format("/things/{}", i));
    }
    CHECK(upstream.connections == 2);
}

TEST_CASE("what was under way on a connection that ends is asked again", "[shared]") {
    std::atomic<int> lost = 0;
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /warm"))
            talk.say(shared_answer(number, ""));
        else if (++lost == 10)
            talk.hang_up();
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    std::vector<std::future<Result<Response>>> answers;
    for (int i = 0; i < 10; ++i)
        answers.push_back(sender.begin(get("/thing")));
    for (auto& one : answers) {
        auto answer = one.get();
        REQUIRE(answer.has_value());
        CHECK(answer->body == "alone");
    }
    CHECK(metric(sender.metrics(), R"(peer_requests_total{outcome="ok",peer="shop"})") >= 10);
}

TEST_CASE("one that is late on a shared connection ends none of the others", "[shared]") {
    std::atomic<int> late = 0;
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /late")) {
            late = number;
            return;
        }
        // The late one's answer comes with a later one's, and is nobody's by then.
        if (head.starts_with("GET /after")) talk.say(shared_answer(late, "too late"));
        talk.say(shared_answer(number, "shared"));
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    auto slow = sender.begin(get("/late"), milliseconds(300));
    CHECK(eventually([&] { return late > 0; }));
    for (int i = 0; i < 5; ++i) {
        auto answer = sender.send(get("/other"));
        REQUIRE(answer.has_value());
        CHECK(answer->body == "shared");
    }
    CHECK(code_of(slow.get()) == "timeout");
    auto after = sender.send(get("/after"));
    REQUIRE(after.has_value());
    CHECK(after->body == "shared");
    CHECK(upstream.connections == 2);
}

TEST_CASE("a shared connection on which all is silent is used no more", "[shared]") {
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /warm")) talk.say(shared_answer(number, ""));
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    CHECK(code_of(sender.send(get("/thing"), milliseconds(100))) == "timeout");
    CHECK(eventually([&] { return upstream.over == 1; }));
    auto answer = sender.send(get("/thing"));
    REQUIRE(answer.has_value());
    CHECK(answer->body == "alone");
}

TEST_CASE("what a connection cannot share goes alone", "[shared]") {
    std::atomic<int> numbers = 0;
    Upstream upstream(sharing([&](Talk& talk, const std::string&, int number) {
        ++numbers;
        talk.say(shared_answer(number, ""));
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    const int before = numbers;
    auto with_body = get("/thing");
    with_body->body = "body";
    auto once_only = get("/thing");
    once_only->repeatable = false;
    const auto head = std::make_shared<Outgoing>(Method::head, "/thing", http::Headers());
    head->repeatable = true;
    auto posted = request(Method::post);
    posted->repeatable = true;
    for (const auto& one : {with_body, once_only, posted})
        CHECK(code_of(sender.send(one)) == "200");
    CHECK(code_of(sender.send(head)) == "200");
    CHECK(numbers == before);
}

TEST_CASE("a long answer is fetched on a connection of its own", "[shared]") {
    PeerServer server;
    Sender sender(server.url());
    CHECK(eventually([&] {
        auto answer = sender.send(get("/api/quick"));
        return answer && answer->headers.has("Souk-Exchange");
    }));
    auto answer = sender.send(get("/api/long"));
    REQUIRE(answer.has_value());
    CHECK(answer->status == 200);
    if (answer->stream) {
        CHECK(sender.all(*answer)->size() == 100'000);
    } else {
        CHECK(answer->body.size() == 100'000);
    }
}

TEST_CASE(
    "an older version behind the same address is asked alone, and blamed for nothing", "[shared]"
) {
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /warm"))
            talk.say(shared_answer(number, ""));
        else
            talk.say(peer_answer("200 OK", "in order"));
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    const auto asked = metric(sender.metrics(), R"(peer_requests_total{outcome="ok",peer="shop"})");
    for (int i = 0; i < 100; ++i) {
        auto answer = sender.send(get("/thing"));
        REQUIRE(answer.has_value());
        CHECK(answer->body == "alone");
        CHECK(warm(sender));
    }
    CHECK(
        metric(sender.metrics(), R"(peer_requests_total{outcome="ok",peer="shop"})") >= asked + 200
    );
    CHECK(metric(sender.metrics(), R"(peer_breaker_open{peer="shop"})") == 0);
}

TEST_CASE("rubbish on a shared connection is a fault of the peer's", "[shared]") {
    const std::string rubbish = GENERATE(
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 2\r\nSouk-Exchange: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSouk-Admitted: 2\r\nSouk-Exchange: 999999\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSouk-Exchange: 1\r\n\r\n",
        "rubbish\r\n\r\n"
    );
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        talk.say(head.starts_with("GET /warm") ? shared_answer(number, "") : rubbish);
    }));
    Sender sender(upstream.url());
    REQUIRE(warm(sender));
    auto answer = sender.send(get("/thing"));  // tried again, alone
    REQUIRE(answer.has_value());
    CHECK(answer->body == "alone");
    CHECK(eventually([&] { return upstream.over == 1; }));
}

TEST_CASE("a stop ends what is under way on shared connections", "[shared]") {
    std::atomic<int> silent = 0;
    Upstream upstream(sharing([&](Talk& talk, const std::string& head, int number) {
        if (head.starts_with("GET /warm"))
            talk.say(shared_answer(number, ""));
        else
            ++silent;
    }));
    std::future<Result<Response>> waiting;
    {
        Sender sender(upstream.url());
        REQUIRE(warm(sender));
        waiting = sender.begin(get("/thing"), seconds(60));
        CHECK(eventually([&] { return silent == 1; }));
    }
    CHECK(eventually([&] { return upstream.over == 2; }));
}

namespace {

/// How many requests it takes that are given up before they leave; 1,000 at most.
Task<int> give_up_many(Executor executor, std::uint16_t port) {
    auto connection = std::make_shared<http::SharedConnection>(executor);
    const asio::ip::tcp::endpoint to(asio::ip::address_v4::loopback(), port);
    auto connected = co_await connection->connect(to, nullptr, "");
    if (!connected) co_return -1;
    http::Headers headers;
    headers.add("Cookie", std::string(4000, 'c'));
    int taken = 0;
    while (taken < 1'000 && connection->takes_more()) {
        http::SharedConnection::Asked asked(connection, "/thing", "x", headers, "");
        ++taken;
    }
    if (!connection->is_full()) taken = -2;
    connection->close();
    co_return taken;
}

}  // namespace

TEST_CASE("what was given up before it left takes room on a shared connection", "[shared]") {
    Upstream upstream([](Talk& talk) { talk.rest(); });
    Loop loop;
    const int taken = start(loop.executor(), give_up_many(loop.executor(), upstream.port())).get();
    CHECK(taken > 0);
    CHECK(taken < 32);
}
