// The gate, case by case. Each refused head differs from an accepted one in the one thing that its
// family is about, so a check taken out lets its own family through and no other.
#include "http/gate.hpp"

#include "http/chars.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace souk;
using namespace souk::http;

namespace {

using namespace std::string_literals;

/// "ok", or the code of the refusal. A head that is not whole is "incomplete".
std::string verdict(const std::string& head) {
    const GateLimits limits;
    auto size = find_head(head, limits);
    if (!size) return size.error().code;
    if (*size == 0) return "incomplete";
    auto checked = check_head(std::string_view(head).substr(0, *size), limits);
    return checked ? "ok" : checked.error().code;
}

std::string with_fields(const std::string& fields) {
    return "POST /orders HTTP/1.1\r\nHost: shop\r\n" + fields + "\r\n";
}
std::string with_target(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: shop\r\n\r\n";
}
std::string with_host(const std::string& line) {
    return "GET / HTTP/1.1\r\n" + line + "\r\n";
}

struct Case {
    std::string input;
    std::string verdict;
};
using Cases = std::vector<Case>;

void check(const Cases& cases, std::string (*head)(const std::string&)) {
    for (const auto& [input, expected] : cases) {
        INFO(input);
        CHECK(verdict(head(input)) == expected);
    }
}
std::string as_is(const std::string& head) {
    return head;
}

}  // namespace

TEST_CASE("the gate lets ordinary requests pass", "[gate]") {
    check(
        {
            {"", "ok"},
            {"Content-Length: 0\r\n", "ok"},
            {"Content-Length: 5\r\n", "ok"},
            {"Content-Length:5\r\n", "ok"},
            {"CONTENT-LENGTH: 5\r\n", "ok"},
            {"Transfer-Encoding: chunked\r\n", "ok"},
            {"transfer-encoding:chunked\r\n", "ok"},
            {"Expect: 100-continue\r\n", "ok"},
            {"Expect: 100-Continue\r\n", "ok"},
            {"Content-Encoding: identity\r\n", "ok"},
            {"Authorization: Bearer abc\r\n", "ok"},
            {"Accept: a\r\nAccept: b\r\n", "ok"},
            {"X-Empty:\r\n", "ok"},
            {"X-Tab: a\tb\r\n", "ok"},
            {"User-Agent: caf\xc3\xa9\r\n", "ok"},
            {"Connection: keep-alive, Upgrade\r\n", "ok"},
            {"TE: trailers\r\n", "ok"},
            {"X!#$%&'*+-.^_`|~9: a\r\n", "ok"},
        },
        with_fields
    );
}

TEST_CASE("the gate refuses odd lengths", "[gate]") {
    const auto bad = "bad_content_length"s;
    check(
        {
            {"Content-Length: +5\r\n", bad},
            {"Content-Length: -5\r\n", bad},
            {"Content-Length: 5,5\r\n", bad},
            {"Content-Length: 5, 5\r\n", bad},
            {"Content-Length: 5 \r\n", bad},
            {"Content-Length:  5\r\n", bad},
            {"Content-Length:  5 \r\n", bad},
            {"Content-Length:\t5\r\n", bad},
            {"Content-Length: 5\t\r\n", bad},
            {"Content-Length: 0x5\r\n", bad},
            {"Content-Length: 05\r\n", bad},
            {"Content-Length: 00\r\n", bad},
            {"Content-Length: 5.0\r\n", bad},
            {"Content-Length: 5e1\r\n", bad},
            {"Content-Length: 5;q=1\r\n", bad},
            {"Content-Length: 5 5\r\n", bad},
            {"Content-Length: \"5\"\r\n", bad},
            {"Content-Length: five\r\n", bad},
            {"Content-Length:\r\n", bad},
            {"Content-Length: \r\n", bad},
            {"Content-Length: \xd9\xa5\r\n", bad},
            {"Content-Length: 18446744073709551616\r\n", bad},
            {"Content-Length: 18446744073709551621\r\n", bad},
            {"Content-Length: 99999999999999999999999\r\n", bad},
            {"Content-Length: 9223372036854775808\r\n", bad},
            {"Content-Length: 5\r\nContent-Length: 5\r\n", "repeated_header"},
            {"Content-Length: 5\r\nContent-Length: 6\r\n", "repeated_header"},
            {"Content-Length: 5\r\ncontent-length: 5\r\n", "repeated_header"},
            {"Content-Length: 0\r\nX: y\r\nCONTENT-LENGTH: 5\r\n", "repeated_header"},
        },
        with_fields
    );
}

TEST_CASE("the gate refuses odd transfer encodings", "[gate]") {
    const auto bad = "bad_transfer_encoding"s;
    check(
        {
            {"Transfer-Encoding: xchunked\r\n", bad},
            {"Transfer-Encoding: chunkedx\r\n", bad},
            {"Transfer-Encoding: Chunked\r\n", bad},
            {"Transfer-Encoding: CHUNKED\r\n", bad},
            {"Transfer-Encoding:  chunked\r\n", bad},
            {"Transfer-Encoding: chunked \r\n", bad},
            {"Transfer-Encoding:\tchunked\r\n", bad},
            {"Transfer-Encoding: chunked\t\r\n", bad},
            {"Transfer-Encoding: chunked,\r\n", bad},
            {"Transfer-Encoding: ,chunked\r\n", bad},
            {"Transfer-Encoding: chunked, chunked\r\n", bad},
            {"Transfer-Encoding: chunked, identity\r\n", bad},
            {"Transfer-Encoding: identity, chunked\r\n", bad},
            {"Transfer-Encoding: identity\r\n", bad},
            {"Transfer-Encoding: gzip\r\n", bad},
            {"Transfer-Encoding: gzip, chunked\r\n", bad},
            {"Transfer-Encoding: chunked;q=1\r\n", bad},
            {"Transfer-Encoding: \"chunked\"\r\n", bad},
            {"Transfer-Encoding: 'chunked'\r\n", bad},
            {"Transfer-Encoding: chu nked\r\n", bad},
            {"Transfer-Encoding:\r\n", bad},
            {"Transfer-Encoding: \xc3\xa7hunked\r\n", bad},
            {"Transfer-Encoding: \x0b"s + "chunked\r\n", "bad_header_value"},
            {"Transfer-Encoding: \x00"s + "chunked\r\n", "bad_header_value"},
            {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "repeated_header"},
            {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "repeated_header"},
            {"Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n", "repeated_header"},
        },
        with_fields
    );
}

TEST_CASE("the gate refuses two ways to end a body", "[gate]") {
    check(
        {
            {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "ambiguous_length"},
            {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "ambiguous_length"},
            {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "ambiguous_length"},
            {"Content-Length: 0\r\nX: y\r\ntransfer-encoding: chunked\r\n", "ambiguous_length"},
            {"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", "bad_transfer_encoding"},
        },
        with_fields
    );
    check(
        {{"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
          "bad_transfer_encoding"},
         {"POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\n", "ok"}},
        as_is
    );
}

TEST_CASE("the gate refuses malformed fields", "[gate]") {
    const auto name = "bad_header_name"s;
    const auto value = "bad_header_value"s;
    check(
        {
            {"Content-Length : 5\r\n", name},
            {"Transfer-Encoding : chunked\r\n", name},
            {"Transfer-Encoding\t: chunked\r\n", name},
            {"Transfer Encoding: chunked\r\n", name},
            {"NoColon\r\n", name},
            {": nameless\r\n", name},
            {"X(y): a\r\n", name},
            {"X\xc3\xa9: a\r\n", name},
            {"X\x01: a\r\n", name},
            {"X\x00Y: a\r\n"s, name},
            {"\"X\": a\r\n", name},
            {"X@y: a\r\n", name},
            {"X: a\r\n folded\r\n", "folded_header"},
            {"X: a\r\n\tfolded\r\n", "folded_header"},
            {"Transfer-Encoding:\r\n chunked\r\n", "bad_transfer_encoding"},
            {"Content-Length: 1\r\n 0\r\n", "folded_header"},
            {"X: a\x00b\r\n"s, value},
            {"X: a\x01"s + "b\r\n", value},
            {"X: a\x1b[31m\r\n", value},
            {"X: a\x7f\r\n", value},
            {"X: a\x08\r\n", value},
            {"X: a\rb\r\n", value},
            {"X: a\r\r\n", value},
            {"X: a\r Transfer-Encoding: chunked\r\n", value},
            {"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", "repeated_header"},
            {"Content-Type: a\r\ncontent-type: b\r\n", "repeated_header"},
            {"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "repeated_header"},
            {"Content-Encoding: identity\r\nContent-Encoding: identity\r\n", "repeated_header"},
            {"Expect: 100-continue\r\nExpect: 100-continue\r\n", "repeated_header"},
            {"Expect: 200-ok\r\n", "bad_expect"},
            {"Expect:\r\n", "bad_expect"},
            {"Content-Encoding: gzip\r\n", "unsupported_encoding"},
            {"Content-Encoding: br, identity\r\n", "unsupported_encoding"},
        },
        with_fields
    );
}

TEST_CASE("the gate wants one Host that is one", "[gate]") {
    check(
        {
            {"Host: shop\r\n", "ok"},
            {"host:shop.example:8080\r\n", "ok"},
            {"Host: 127.0.0.1:3000\r\n", "ok"},
            {"Host: [::1]:3000\r\n", "ok"},
            {"Host: [2001:db8::1]\r\n", "ok"},
            {"", "missing_host"},
            {"X-Host: shop\r\n", "missing_host"},
            {"Host: a\r\nHost: a\r\n", "repeated_header"},
            {"Host: a\r\nhost: b\r\n", "repeated_header"},
            {"Host:\r\n", "bad_host"},
            {"Host: \r\n", "bad_host"},
            {"Host: a b\r\n", "bad_host"},
            {"Host: a,b\r\n", "ok"},  // RFC 3986's sub-delims
            {"Host: a/b\r\n", "bad_host"},
            {"Host: a?b\r\n", "bad_host"},
            {"Host: a#b\r\n", "bad_host"},
            {"Host: user@a\r\n", "bad_host"},
            {"Host: a\\b\r\n", "bad_host"},
            {"Host: a:b\r\n", "bad_host"},
            {"Host: a:\r\n", "bad_host"},
            {"Host: a:1:2\r\n", "bad_host"},
            {"Host: a:123456\r\n", "bad_host"},
            {"Host: :80\r\n", "bad_host"},
            {"Host: a%00\r\n", "bad_host"},
            {"Host: <a>\r\n", "bad_host"},
            {"Host: \"a\"\r\n", "bad_host"},
            {"Host: caf\xc3\xa9\r\n", "bad_host"},
            {"Host: [::1\r\n", "bad_host"},
            {"Host: [::1]x\r\n", "bad_host"},
            {"Host: []\r\n", "bad_host"},
            {"Host: [g::1]\r\n", "bad_host"},
            {"Host: http://a\r\n", "bad_host"},
        },
        with_host
    );
}

TEST_CASE("the gate refuses targets that a URL cannot be", "[gate]") {
    const auto bad = "bad_target"s;
    check(
        {
            {"/", "ok"},
            {"/api/orders/ord_1", "ok"},
            {"/a-b._~!$&'()*+,;=:@", "ok"},
            {"/a?b=c&d=e/f?g", "ok"},
            {"/a?filter[x]=1", "ok"},
            {"/caf%C3%A9", "ok"},
            {"/a%20b?c=%e2%82%ac", "ok"},
            {"/a%2Eb", "ok"},
            {"/..a/.b/c..", "ok"},
            {"/%252e%252e", "ok"},  // decoded once: the text "%2e%2e"
            {"/a//b", "ok"},
            {"api", bad},
            {"*", bad},
            {"?a", bad},
            {"/a#b", bad},
            {"/a\\b", bad},
            {"/a<b", bad},
            {"/a\"b", bad},
            {"/a{b}", bad},
            {"/a|b", bad},
            {"/a^b", bad},
            {"/a`b", bad},
            {"/a[b]", bad},
            {"/a?b\\c", bad},
            {"/a b", bad},
            {"/a\tb", bad},
            {"/a\x00"s + "b", bad},
            {"/a\x01"s + "b", bad},
            {"/a\x7f", bad},
            {"/caf\xc3\xa9", bad},
            {"/a?q=\x80", bad},
            {"/%", bad},
            {"/%4", bad},
            {"/%zz", bad},
            {"/%4g", bad},
            {"/%u0041", bad},
            {"/a?b=%", bad},
            {"/a?b=%f", bad},
            {"/%00", bad},
            {"/%0a", bad},
            {"/%0d%0aSet-Cookie:x", bad},
            {"/%7f", bad},
            {"/a?b=%00", bad},
            {"/a?b=%0d%0a", bad},
            {"/%ff", bad},
            {"/%c0%af", bad},
            {"/%c0%ae%c0%ae", bad},
            {"/%ed%a0%80", bad},
            {"/%f4%90%80%80", bad},
            {"/a?q=%ff", bad},
            {"/a%2fb", "encoded_slash"},
            {"/a%2Fb", "encoded_slash"},
            {"/a%5cb", "encoded_slash"},
            {"/a%5Cb", "encoded_slash"},
            {"/..%2f..%2fetc", "encoded_slash"},
            {"/a?b=%2f", "ok"},
            {"/.", "dot_segment"},
            {"/..", "dot_segment"},
            {"/../etc", "dot_segment"},
            {"/a/../b", "dot_segment"},
            {"/a/./b", "dot_segment"},
            {"/a/..", "dot_segment"},
            {"/%2e%2e/b", "dot_segment"},
            {"/a/%2E%2e", "dot_segment"},
            {"/a/.%2e/b", "dot_segment"},
            {"/%2e", "dot_segment"},
        },
        with_target
    );
}

TEST_CASE("the gate takes a target in absolute form only for its own Host", "[gate]") {
    check(
        {
            {"http://shop/a", "ok"},
            {"HTTP://SHOP/a?b", "ok"},
            {"https://shop/", "ok"},
            {"http://shop", "ok"},
            {"http://evil/a", "host_mismatch"},
            {"http://shop:80/a", "host_mismatch"},
            {"http://user@shop/a", "host_mismatch"},
            {"http://shop@evil/a", "host_mismatch"},
            {"http:///a", "host_mismatch"},
            {"http://shop?a", "bad_target"},
            {"http://shop/../a", "dot_segment"},
            {"http:/shop/a", "bad_target"},
            {"ftp://shop/a", "bad_target"},
            {"file:///etc/passwd", "bad_target"},
            {"javascript://shop/a", "bad_target"},
            {"//shop/a", "ok"},  // a path with an empty segment, which no route has
        },
        with_target
    );
    auto checked = check_head(with_target("http://shop/a?b=c"), GateLimits());
    REQUIRE(checked.has_value());
    CHECK(checked->target == "/a?b=c");
    CHECK(checked->path == "/a");
    CHECK(checked->query == "b=c");
}

TEST_CASE("the gate refuses malformed request lines", "[gate]") {
    const auto line = "bad_request_line"s;
    const auto version = "bad_version"s;
    const auto rest = "\r\nHost: x\r\n\r\n"s;
    Cases cases = {
        {"GET / HTTP/1.1", "ok"},
        {"OPTIONS * HTTP/1.1", "ok"},
        {"GET /", line},
        {"GET", line},
        {"GET  HTTP/1.1", "bad_target"},
        {"GET  / HTTP/1.1", "bad_target"},
        {"GET /  HTTP/1.1", "bad_target"},
        {" GET / HTTP/1.1", line},
        {"GET\t/\tHTTP/1.1", line},
        {"G\x00T / HTTP/1.1"s, line},
        {"G(T / HTTP/1.1", line},
        {"GET / HTTP/1.1 ", version},
        {"GET / HTTP/1.1\r", version},
        {"GET / http/1.1", version},
        {"GET / HTTP/1.2", version},
        {"GET / HTTP/0.9", version},
        {"GET / HTTP/2.0", version},
        {"PRI * HTTP/2.0", version},
        {"GET / HTTP/3", version},
        {"GET / HTTP/1.10", version},
        {"GET / HTTP/11", version},
        {"GET / HTTPS/1.1", version},
        {"GET / XTTP/1.1", version},
        {"GET / HTTP/ 1.1", "bad_version"},
        {"GET / HTTP/1,1", version},
        {"get / HTTP/1.1", "unknown_method"},
        {"TRACE / HTTP/1.1", "unknown_method"},
        {"CONNECT x:443 HTTP/1.1", "unknown_method"},
        {"PROPFIND / HTTP/1.1", "unknown_method"},
        {"GETT / HTTP/1.1", "unknown_method"},
    };
    for (const auto& [input, expected] : cases) {
        INFO(input);
        CHECK(verdict(input + rest) == expected);
    }
}

TEST_CASE("the gate wants CR and LF at each line's end", "[gate]") {
    check(
        {
            {"GET / HTTP/1.1\nHost: x\n\n", "bad_framing"},
            {"GET / HTTP/1.1\nHost: x\r\n\r\n", "bad_framing"},
            {"GET / HTTP/1.1\r\nHost: x\n\r\n", "bad_framing"},
            {"GET / HTTP/1.1\r\nHost: x\r\n\n", "bad_framing"},
            {"GET / HTTP/1.1\r\nX: a\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n",
             "bad_framing"},
            {"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "bad_framing"},
            {"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "bad_framing"},
            {"\r\n\r\n", "bad_framing"},
            {"GET / HTTP/1.1\r\nHost: x\r\n", "incomplete"},
            {"GET / HTTP/1.1\r\nHost: x\r\n\r", "incomplete"},
            {"GET / HTTP/1.1\rHost: x\r\r", "incomplete"},
            {"GET", "incomplete"},
            {"", "incomplete"},
        },
        as_is
    );
}

TEST_CASE("the gate's limits hold at their edges", "[gate]") {
    const auto fields = [](int n) {
        std::string out;
        for (int i = 1; i < n; ++i)
            out += "X" + std::to_string(i) + ": a\r\n";
        return with_fields(out);
    };
    CHECK(verdict(fields(100)) == "ok");
    CHECK(verdict(fields(101)) == "too_many_headers");

    const auto padded = [](std::size_t bytes) {
        auto head = with_fields("X: \r\n");
        return with_fields("X: " + std::string(bytes - head.size(), 'a') + "\r\n");
    };
    REQUIRE(padded(8192).size() == 8192);
    CHECK(verdict(padded(8192)) == "ok");
    CHECK(verdict(padded(8193)) == "header_too_large");
    CHECK(verdict(padded(8192).substr(0, 8191)) == "incomplete");
    CHECK(verdict(padded(9000).substr(0, 8192)) == "header_too_large");

    CHECK(verdict(with_target("/" + std::string(4095, 'a'))) == "ok");
    CHECK(verdict(with_target("/" + std::string(4096, 'a'))) == "uri_too_long");
    CHECK(verdict(with_target("/" + std::string(9000, 'a'))) == "uri_too_long");
    CHECK(verdict("GET /" + std::string(5000, 'a')) == "uri_too_long");
}

TEST_CASE("the gate decodes a path once", "[gate]") {
    auto checked = check_head(with_target("/caf%C3%A9/%252e?q=a%20b"), GateLimits());
    REQUIRE(checked.has_value());
    CHECK(checked->path == "/caf\xc3\xa9/%2e");
    CHECK(checked->query == "q=a%20b");
    CHECK(checked->method == Method::get);
}

TEST_CASE("numbers are written as all sixteen lower-case digits", "[http]") {
    const auto hex = [](std::uint64_t bits) {
        std::string out(18, '.');
        write_hex(out.data() + 1, bits);
        return out;
    };
    CHECK(hex(0) == ".0000000000000000.");
    CHECK(hex(0x0123456789abcdef) == ".0123456789abcdef.");
    CHECK(hex(0xfedcba9876543210) == ".fedcba9876543210.");
    CHECK(hex(~std::uint64_t{0}) == ".ffffffffffffffff.");
}
