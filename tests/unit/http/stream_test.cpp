// Bodies that stream, both ways, over real sockets: order, limits, back-pressure, and what the
// other side sees when something ends in the middle.
#include "support.hpp"

#include <catch2/catch.hpp>

#include <mutex>
#include <optional>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

namespace {

constexpr std::size_t kib = 1024;
// What two sockets' buffers may hold on this machine, with room; far less than an endless body.
constexpr std::size_t buffers = 24 * kib * kib;

std::string text_of(std::size_t size) {
    std::string out(size, 'a');
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<char>('a' + i % 23);
    return out;
}

/// Parts of one size until `total` bytes are out, then the end, or a fault.
struct Source final : BodyStream {
    Source(std::size_t total, std::size_t part) : text(text_of(total)), part(part) {}
    ~Source() override {
        if (gone != nullptr) *gone = true;
    }
    Task<Result<std::string>> read() override {
        if (taken != nullptr) *taken += part;
        if (endless) co_return std::string(part, 'e');
        if (at == text.size() && fails) co_return unavailable("broken", "the source broke");
        if (at == text.size() && throws) throw std::runtime_error("the source threw");
        std::string out = text.substr(at, part);
        at += out.size();
        co_return out;
    }
    std::optional<std::uint64_t> length() const override { return announced; }

    const std::string text;
    const std::size_t part;
    std::size_t at = 0;
    std::optional<std::uint64_t> announced;
    bool endless = false;
    bool fails = false;
    bool throws = false;
    std::atomic<std::size_t>* taken = nullptr;
    std::atomic<bool>* gone = nullptr;
};

/// What a handler saw of a streamed body.
struct Seen {
    std::atomic<bool> hold = false;     // it does not read until released
    std::atomic<std::size_t> took = 0;  // bytes
    std::atomic<std::size_t> largest = 0;
    std::atomic<int> streamed = 0;
    std::atomic<int> whole = 0;
    std::atomic<int> ended = 0;
    std::mutex mutex;
    std::string code;  // of the fault
    std::shared_ptr<BodyStream> kept;
};

Task<Result<Response>> count(Seen& seen, const Request& request) {
    while (seen.hold)
        co_await base::system_clock().sleep(milliseconds(1));
    if (!request.stream) {
        ++seen.whole;
        co_return Response(200, "text/plain", std::to_string(request.body.size()));
    }
    ++seen.streamed;
    std::size_t size = 0;
    for (;;) {
        auto part = co_await request.stream->read();
        if (!part) {
            std::lock_guard lock(seen.mutex);
            seen.code = part.error().code;
            ++seen.ended;
            co_return part.error();
        }
        if (part->empty()) break;
        seen.largest = std::max(seen.largest.load(), part->size());
        seen.took += part->size();
        size += part->size();
    }
    ++seen.ended;
    co_return Response(200, "text/plain", std::to_string(size));
}

Task<Result<Response>> echo(Seen& seen, const Request& request) {
    Response response(200, "text/plain", request.body);
    response.stream = request.stream;
    seen.kept = request.stream;
    co_return response;
}

Task<Result<Response>> refuse(const Request&) {
    co_return conflict("not_now", "nobody has read the body");
}

Routes upload_routes(Seen& seen, std::size_t most = 8 * kib * kib) {
    Routes out;
    const auto add = [&](std::string path, Handler handler) {
        out.push_back(
            Route(Method::post, std::move(path), Access::everyone(), "", std::move(handler))
                .max_body(most)
                .streams_body()
        );
    };
    add("/count", [&](const CallContext&, const Request& r) { return count(seen, r); });
    add("/echo", [&](const CallContext&, const Request& r) { return echo(seen, r); });
    add("/refuse", [](const CallContext&, const Request& r) { return refuse(r); });
    return out;
}

using Make = std::function<std::shared_ptr<BodyStream>()>;

Task<Result<Response>> download(Make make) {
    Response response(200, "text/plain", "");
    response.headers.set("ETag", "\"v1\"");
    response.stream = make();
    co_return response;
}

Routes download_routes(Make make) {
    Routes out;
    out.push_back(Route(
        Method::get,
        "/file",
        Access::everyone(),
        "",
        [make = std::move(make)](const CallContext&, const Request&) { return download(make); }
    ));
    return out;
}

std::string head_of(std::string_view path, std::string_view framing) {
    return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", path, framing);
}

std::string sized(std::string_view path, std::string_view body) {
    return head_of(path, fmt::format("Content-Length: {}", body.size())) + std::string(body);
}

std::string chunk(std::string_view data) {
    return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

std::string in_chunks(std::string_view body, std::size_t size) {
    std::string out;
    for (; !body.empty(); body.remove_prefix(std::min(size, body.size())))
        out += chunk(body.substr(0, size));
    return out + "0\r\n\r\n";
}

/// The body of a chunked response; nothing when it does not end.
std::optional<std::string> unchunked(std::string_view response) {
    const auto whole = body_of(response);
    std::string_view body = whole;
    std::string out;
    for (;;) {
        const auto line = body.find("\r\n");
        if (line == std::string_view::npos) return std::nullopt;
        const std::size_t size = std::stoul(std::string(body.substr(0, line)), nullptr, 16);
        body.remove_prefix(line + 2);
        if (body.size() < size + 2) return std::nullopt;
        if (size == 0) return out;
        out += body.substr(0, size);
        body.remove_prefix(size + 2);
    }
}

const std::string get_file = "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_CASE("a large body is handed over in parts, a small one whole", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    const bool chunked = GENERATE(false, true);
    const auto post = [&](const std::string& body) {
        if (chunked)
            wire.send(head_of("/count", "Transfer-Encoding: chunked") + in_chunks(body, 5'000));
        else
            wire.send(sized("/count", body));
        return body_of(wire.response());
    };
    CHECK(post(text_of(64 * kib)) == std::to_string(64 * kib));
    CHECK(seen.whole == 1);
    CHECK(seen.streamed == 0);
    CHECK(post(text_of(64 * kib + 1)) == std::to_string(64 * kib + 1));
    CHECK(seen.streamed == 1);
    CHECK(post(text_of(3'000'000)) == "3000000");
    CHECK(seen.largest <= 64 * kib);
    // And the same connection goes on.
    CHECK(post("small") == "5");
    CHECK(seen.whole == 2);
}

TEST_CASE("requests behind a streamed body are not lost", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    const auto body = text_of(200'000);
    wire.send(sized("/count", body) + sized("/count", "abc") + sized("/count", body));
    CHECK(body_of(wire.response()) == "200000");
    CHECK(body_of(wire.response()) == "3");
    CHECK(body_of(wire.response()) == "200000");
}

TEST_CASE("what comes in goes out as it comes", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    const auto body = text_of(150'000);
    const bool chunked = GENERATE(false, true);
    if (chunked) {
        wire.send(head_of("/echo", "Transfer-Encoding: chunked"));
        wire.send(chunk(body.substr(0, 100'000)));
        // Half of it is back before the rest is sent.
        std::string answer;
        while (answer.size() < 100'000)
            answer += wire.some();
        wire.send(chunk(body.substr(100'000)) + "0\r\n\r\n");
        answer += wire.rest();
        CHECK(unchunked(answer) == body);
    } else {
        wire.send(sized("/echo", body));
        CHECK(body_of(wire.response()) == body);
    }
    // Who keeps the stream has nothing.
    REQUIRE(eventually([&] { return wire.closed(); }));
    auto late = run(server.executor(), seen.kept->read());
    REQUIRE(late.has_error());
    CHECK(late.error().code == "body_incomplete");
}

TEST_CASE("a streamed body has the limits of any", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen, 300'000));
    Wire wire(server.port());
    SECTION("by its length") {
        wire.send(head_of("/count", "Content-Length: 300001"));
        CHECK(status_of(wire.response()) == 413);
        CHECK(seen.streamed == 0);
    }
    SECTION("in the middle") {
        wire.send(head_of("/count", "Transfer-Encoding: chunked"));
        wire.send(chunk(text_of(290'000)) + chunk(text_of(20'000)));
        CHECK(status_of(wire.response()) == 413);
        CHECK(seen.code == "body_too_large");
        CHECK(wire.closed());
    }
    SECTION("rubbish in the middle") {
        wire.send(head_of("/count", "Transfer-Encoding: chunked"));
        wire.send(chunk(text_of(100'000)) + "xyz\r\n");
        CHECK(status_of(wire.response()) == 400);
        CHECK(seen.code == "bad_framing");
        CHECK(wire.closed());
    }
}

TEST_CASE("a client that falls silent in a streamed body is told so", "[stream]") {
    Seen seen;
    ServerOptions options;
    options.limits.body_timeout = milliseconds(60);
    TestServer server(upload_routes(seen), options);
    Wire wire(server.port());
    wire.send(head_of("/count", "Content-Length: 200000") + text_of(100'000));
    CHECK(status_of(wire.response()) == 408);
    CHECK(seen.code == "request_timeout");
    CHECK(wire.closed());
}

TEST_CASE("a client cannot drip a streamed body for ever", "[stream]") {
    Seen seen;
    ServerOptions options;
    options.limits.body_timeout = milliseconds(100);
    TestServer server(upload_routes(seen), options);
    Wire wire(server.port());
    wire.send(head_of("/count", "Content-Length: 200000") + text_of(70'000));
    // Each byte comes in time; 64 KiB of them would not.
    CHECK(eventually([&] {
        wire.send("x");
        return seen.ended == 1;
    }));
    CHECK(seen.code == "request_timeout");
}

TEST_CASE("a client that goes away in the middle is noticed", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    wire.send(head_of("/count", "Content-Length: 200000") + text_of(100'000));
    REQUIRE(eventually([&] { return seen.took >= 100'000; }));
    wire.reset();
    REQUIRE(eventually([&] { return seen.ended == 1; }));
    CHECK(seen.code == "body_incomplete");
}

TEST_CASE("a body that nobody reads stays with its sender", "[stream]") {
    Seen seen;
    seen.hold = true;
    TestServer server(upload_routes(seen, 512 * kib * kib));
    Wire wire(server.port());
    wire.send(head_of("/count", fmt::format("Content-Length: {}", 400 * kib * kib)));
    const auto part = text_of(64 * kib);
    std::size_t sent = 0;
    // Until the buffers between us are full, seen often enough in a row.
    for (int refused = 0; refused < 50 && sent < 2 * buffers;) {
        const std::size_t n = wire.try_send(part);
        sent += n;
        refused = n == 0 ? refused + 1 : 0;
        if (n == 0) std::this_thread::sleep_for(milliseconds(2));
    }
    CHECK(sent < buffers);
    CHECK(seen.took == 0);
    seen.hold = false;
    CHECK(eventually([&] { return seen.took >= sent - part.size(); }));
    wire.reset();
    CHECK(eventually([&] { return seen.ended == 1; }));
}

TEST_CASE("an answer that comes before the body was read is heard", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    wire.send(head_of("/refuse", "Content-Length: 200000") + text_of(100'000));
    const auto response = wire.response();
    CHECK(status_of(response) == 409);
    CHECK(field_of(response, "Connection") == "close");
    CHECK(wire.closed());
}

TEST_CASE("who waits for leave to send a large body gets it", "[stream]") {
    Seen seen;
    TestServer server(upload_routes(seen));
    Wire wire(server.port());
    wire.send(head_of("/count", "Expect: 100-continue\r\nContent-Length: 100000"));
    CHECK(wire.response() == "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send(text_of(100'000));
    CHECK(body_of(wire.response()) == "100000");
}

TEST_CASE("an answer in parts arrives whole", "[stream]") {
    const std::size_t size = GENERATE(0, 1, 65'536, 1'000'000);
    const bool announced = GENERATE(false, true);
    std::atomic<bool> gone = false;
    TestServer server(download_routes([&] {
        auto source = std::make_shared<Source>(size, 50'000);
        if (announced) source->announced = size;
        source->gone = &gone;
        return source;
    }));
    const auto body = text_of(size);
    SECTION("HTTP/1.1") {
        Wire wire(server.port());
        wire.send(get_file);
        const auto response = wire.rest();
        CHECK(status_of(response) == 200);
        if (announced) {
            CHECK(field_of(response, "Content-Length") == std::to_string(size));
            CHECK(field_of(response, "Transfer-Encoding").empty());
            CHECK(body_of(response) == body);
        } else {
            CHECK(field_of(response, "Content-Length").empty());
            CHECK(field_of(response, "Transfer-Encoding") == "chunked");
            CHECK(unchunked(response) == body);
        }
    }
    SECTION("HTTP/1.0 knows no chunks") {
        Wire wire(server.port());
        wire.send("GET /file HTTP/1.0\r\nHost: x\r\n\r\n");
        const auto response = wire.rest();
        CHECK_FALSE(wire.was_reset());
        CHECK(field_of(response, "Transfer-Encoding").empty());
        CHECK(body_of(response) == body);
    }
    SECTION("HEAD has none") {
        Wire wire(server.port());
        wire.send("HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n");
        const auto response = wire.response(true);
        CHECK(field_of(response, "Content-Length") == (announced ? std::to_string(size) : ""));
        wire.send("HEAD /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        CHECK(body_of(wire.rest()).empty());
    }
    SECTION("nor has 304") {
        Wire wire(server.port());
        wire.send("GET /file HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"v1\"\r\n\r\n");
        CHECK(status_of(wire.response(true)) == 304);
        CHECK(eventually([&] { return gone.load(); }));
        wire.send(get_file);
        CHECK(status_of(wire.rest()) == 200);
    }
}

TEST_CASE("an answer that breaks never looks whole", "[stream]") {
    const bool throws = GENERATE(false, true);
    const bool announced = GENERATE(false, true);
    TestServer server(download_routes([=] {
        auto source = std::make_shared<Source>(100'000, 50'000);
        source->fails = !throws;
        source->throws = throws;
        if (announced) source->announced = 200'000;
        return source;
    }));
    Wire wire(server.port());
    SECTION("HTTP/1.1") {
        wire.send(get_file);
        const auto response = wire.rest();
        CHECK(status_of(response) == 200);
        if (announced)
            CHECK(body_of(response).size() < 200'000);
        else
            CHECK_FALSE(unchunked(response).has_value());
    }
    SECTION("HTTP/1.0") {
        wire.send("GET /file HTTP/1.0\r\nHost: x\r\n\r\n");
        const auto response = wire.rest();
        if (announced)
            CHECK(body_of(response).size() < 200'000);
        else
            CHECK(wire.was_reset());  // its end would be the body's
    }
}

TEST_CASE("an answer of another length than it said is cut off", "[stream]") {
    const std::uint64_t announced = GENERATE(99'999, 100'001);
    TestServer server(download_routes([=] {
        auto source = std::make_shared<Source>(100'000, 50'000);
        source->announced = announced;
        return source;
    }));
    Wire wire(server.port());
    wire.send("GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto response = wire.rest();  // it closes, though nobody asked for that
    CHECK(body_of(response).size() < announced);
}

TEST_CASE("a slow reader slows the source down", "[stream]") {
    std::atomic<std::size_t> taken = 0;
    std::atomic<bool> gone = false;
    ServerOptions options;
    options.limits.write_timeout = milliseconds(200);
    TestServer server(
        download_routes([&] {
            auto source = std::make_shared<Source>(0, 60'000);
            source->endless = true;
            source->taken = &taken;
            source->gone = &gone;
            return source;
        }),
        options
    );
    Wire wire(server.port());
    wire.send(get_file);
    // It is cut off when it takes nothing for too long; by then no more was read than fits.
    REQUIRE(eventually([&] { return gone.load(); }));
    CHECK(taken > 0);
    CHECK(taken < buffers);
}

TEST_CASE("the source of an answer is let go when the client goes away", "[stream]") {
    std::atomic<bool> gone = false;
    TestServer server(download_routes([&] {
        auto source = std::make_shared<Source>(0, 60'000);
        source->endless = true;
        source->gone = &gone;
        return source;
    }));
    Wire wire(server.port());
    wire.send(get_file);
    REQUIRE_FALSE(wire.some().empty());
    wire.reset();
    CHECK(eventually([&] { return gone.load(); }));
}
