#include "bench/load/request.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace souk::bench;

namespace {

std::string rendered(std::string_view line, std::uint64_t number = 7) {
    RenderedRequest request(parse_request(line), "shop:3000");
    return std::string(request.with(number));
}

std::string refusal(std::string_view line) {
    try {
        parse_request(line);
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("a path is enough for a request", "[bench]") {
    CHECK(rendered(R"({"path":"/health"})") == "GET /health HTTP/1.1\r\nHost: shop:3000\r\n\r\n");
}

TEST_CASE("a body brings its length and its type", "[bench]") {
    CHECK(
        rendered(R"({"method":"POST","path":"/x","headers":{"A":"b"},"body":"{}"})") ==
        "POST /x HTTP/1.1\r\nHost: shop:3000\r\nA: b\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\n\r\n{}"
    );
    CHECK(
        rendered(R"({"method":"POST","path":"/x"})") ==
        "POST /x HTTP/1.1\r\nHost: shop:3000\r\nContent-Length: 0\r\n\r\n"
    );
    CHECK(
        rendered(
            R"({"method":"PUT","path":"/","headers":{"host":"h","content-type":"t"},"body":"x"})"
        ) == "PUT / HTTP/1.1\r\nhost: h\r\ncontent-type: t\r\nContent-Length: 1\r\n\r\nx"
    );
}

TEST_CASE("each {n} is the same number of fixed width, and the length counts it", "[bench]") {
    RenderedRequest request(
        parse_request(
            R"({"method":"POST","path":"/{n}","headers":{"Idempotency-Key":"k-{n}"},"body":"{n}{n}"})"
        ),
        "h"
    );
    const std::string first(request.with(42));
    const std::string number = "0000000000000000042";
    CHECK(
        first == "POST /" + number + " HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k-" + number +
                     "\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n" + number +
                     number
    );
    const std::string largest(request.with(9'999'999'999'999'999'999U));
    CHECK(largest.size() == first.size());
    CHECK(largest.find("/9999999999999999999 ") != std::string::npos);
    CHECK(request.with(42) == first);
}

TEST_CASE("what is no request is refused with words", "[bench]") {
    CHECK(refusal("{") != "");
    CHECK(refusal("[]") == "no JSON object");
    CHECK(refusal(R"({"path":"x"})") == "path starts with / and has no space");
    CHECK(refusal(R"({"path":"/a b"})") != "");
    CHECK(refusal(R"({"path":"/a\r\nX:y"})") == "path has a line break");
    CHECK(refusal(R"({"path":"/","hedaers":{}})") == "unknown member 'hedaers'");
    CHECK(refusal(R"({"path":"/","headers":{"A":"b\nC: d"}})") == "A has a line break");
    CHECK(refusal(R"({"path":"/","headers":{"content-length":"3"}})") != "");
    CHECK(refusal(R"({"path":"/","body":{}})") == "body is no string");
    CHECK(refusal(R"({"method":"","path":"/"})") == "method is no method");
    CHECK(refusal(R"({"path":"/"})") == "");
}
