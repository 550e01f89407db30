#include "souk/json.hpp"

#include "support/result_text.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace souk;

namespace {

bool refused(std::string_view text) {
    auto parsed = json::parse(text);
    return !parsed && parsed.error().code == "malformed_json" &&
           parsed.error().kind == ErrorKind::invalid;
}

std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

/// "pointer code" of each fault, in order.
std::vector<std::string> faults_of(
    std::string_view text,
    const json::Decoder& decoder,
    json::Unknown unknown = json::Unknown::refuse
) {
    auto result = json::decode(text, unknown, decoder);
    std::vector<std::string> list;
    if (result) return list;
    for (const auto& field : result.error().fields)
        list.push_back(field.pointer + " " + field.code);
    return list;
}

using Faults = std::vector<std::string>;

}  // namespace

TEST_CASE("what JSON allows is read as it is", "[json]") {
    auto parsed = json::parse(R"( {"a":[1,-2,1.5,true,null,"\u00e9\ud83d\ude00"],"":{}} )");
    REQUIRE(parsed);
    CHECK(json::serialize(*parsed) == "{\"a\":[1,-2,1.5E0,true,null,\"é😀\"],\"\":{}}");
    CHECK(json::parse("9223372036854775807")->as_int64() == INT64_MAX);
    CHECK(json::parse("-9223372036854775808")->as_int64() == INT64_MIN);
    CHECK(json::parse("18446744073709551615")->as_uint64() == UINT64_MAX);
    CHECK(json::parse("0.1")->as_double() == 0.1);
    CHECK(json::parse("2.2250738585072014e-308")->as_double() == 2.2250738585072014e-308);
    CHECK(json::parse("123456789012345678901234567890.5")->as_double() == 1.2345678901234568e29);
}

TEST_CASE("what Boost.JSON lets through is refused", "[json]") {
    CHECK(refused(R"({"a":1,"a":2})"));
    CHECK(refused(R"({"a":1,"\u0061":2})"));
    CHECK(refused(R"([{"x":{"a":1,"b":2,"a":3}}])"));
    CHECK(refused("1e400"));
    CHECK(refused("-1e400"));
    CHECK(refused("[1E+309]"));
    CHECK(refused("18446744073709551616"));
    CHECK(refused("-9223372036854775809"));
    CHECK(refused("[99999999999999999999999]"));
    CHECK(refused(R"("\u0000")"));
    CHECK(refused(R"({"a\u0000b":1})"));
    CHECK(refused(std::string_view("\"a\0b\"", 5)));
}

TEST_CASE("malformed text is refused", "[json]") {
    auto text = GENERATE(
        as<std::string>{},
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "nul",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "NaN",
        "Infinity",
        "-",
        "1 2",
        "{} {}",
        "[1] x",
        "// c\n1",
        "/**/1",
        "\"\\x41\"",
        "\"tab\there\"",
        "\"open",
        "[1"
    );
    INFO(text);
    CHECK(refused(text));
}

TEST_CASE("text is UTF-8 without tricks", "[json]") {
    CHECK(refused("\xef\xbb\xbf{}"));        // byte order mark
    CHECK(refused("\"\xff\""));              // never occurs
    CHECK(refused("\"\xc0\xaf\""));          // overlong slash
    CHECK(refused("\"\xe0\x80\xaf\""));      // overlong slash
    CHECK(refused("\"\xed\xa0\x80\""));      // an encoded surrogate
    CHECK(refused("\"\xf4\x90\x80\x80\""));  // beyond U+10FFFF
    CHECK(refused("\"\xe2\x82\""));          // cut off
    CHECK(refused(R"("\ud800")"));
    CHECK(refused(R"("\ud800x")"));
    CHECK(refused(R"("\udc00")"));
    CHECK(refused(R"("\ud800\ud800")"));
    CHECK(refused(R"({"\udfff":1})"));
    CHECK(json::parse("\"\xf0\x9f\x98\x80\""));
}

TEST_CASE("depth is limited to 32", "[json]") {
    CHECK(json::parse(nested(32)));
    CHECK(refused(nested(33)));
    CHECK(refused(std::string(100'000, '[')));
    std::string objects;
    for (int i = 0; i < 33; ++i)
        objects += "{\"a\":";
    CHECK(refused(objects));
}

TEST_CASE("the error says what and where", "[json]") {
    CHECK(json::parse(R"({"a":1,"a":2})").error().detail.find("twice") != std::string::npos);
    CHECK(json::parse("[1] x").error().detail.find("byte 4") != std::string::npos);
}

TEST_CASE("every fault of a body is told with its pointer", "[json]") {
    auto decoder = [](json::ObjectReader& in) {
        in.text("name", {1, 5});
        in.integer("n", {1, 10});
        in.one_of("kind", {"a", "b"});
        in.boolean("flag", false);
        in.object_at("inner", [](json::ObjectReader& inner) { inner.text("x"); });
        in.each("items", 1, 2, [](json::ObjectReader& item) { item.integer("q"); });
    };
    CHECK(faults_of(
              R"({"name":"a","n":1,"kind":"b","flag":true,"inner":{"x":""},"items":[{"q":3}]})",
              decoder
    )
              .empty());
    CHECK(
        faults_of("{}", decoder) ==
        Faults{
            "/name required", "/n required", "/kind required", "/inner required", "/items required"}
    );
    CHECK(
        faults_of(
            R"({"name":"toolong","n":11,"kind":"c","flag":1,"inner":{"x":1,"y/z~":2},
                "items":[{"q":"1"},7,{}],"more":1})",
            decoder
        ) ==
        Faults{
            "/name too_long",
            "/n too_large",
            "/kind one_of",
            "/flag type",
            "/inner/x type",
            "/inner/y~1z~0 unknown",
            "/items too_long",
            "/more unknown"}
    );
    CHECK(
        faults_of(R"({"name":"","n":0,"kind":"a","inner":[],"items":[{"q":"1"},7]})", decoder) ==
        Faults{"/name too_short", "/n too_small", "/inner type", "/items/0/q type", "/items/1 type"}
    );
    CHECK(faults_of(
              R"({"name":"a","n":1,"kind":"a","inner":{"x":"","y":1},"items":[{"q":1,"z":2}],
                     "w":1})",
              decoder,
              json::Unknown::ignore
    )
              .empty());
    CHECK(faults_of("[]", decoder) == Faults{" type"});
}

TEST_CASE("an integer is an integer", "[json]") {
    auto decoder = [](json::ObjectReader& in) { in.integer("n"); };
    CHECK(faults_of(R"({"n":1})", decoder).empty());
    CHECK(faults_of(R"({"n":1.0})", decoder) == Faults{"/n type"});
    CHECK(faults_of(R"({"n":1e2})", decoder) == Faults{"/n type"});
    CHECK(faults_of(R"({"n":"1"})", decoder) == Faults{"/n type"});
    CHECK(faults_of(R"({"n":null})", decoder) == Faults{"/n type"});
    CHECK(faults_of(R"({"n":true})", decoder) == Faults{"/n type"});
    CHECK(faults_of(R"({"n":9223372036854775808})", decoder) == Faults{"/n too_large"});
}

TEST_CASE("null stands for absent where absent is allowed", "[json]") {
    auto decoder = [](json::ObjectReader& in) {
        CHECK_FALSE(in.optional_text("t"));
        CHECK_FALSE(in.optional_integer("i"));
        CHECK(in.boolean("b", true));
        CHECK_FALSE(in.optional_object("o", [](json::ObjectReader&) {}));
    };
    CHECK(faults_of(R"({"t":null,"i":null,"b":null,"o":null})", decoder).empty());
    CHECK(faults_of("{}", decoder).empty());
}

TEST_CASE("a hostile body cannot ask for endless faults", "[json]") {
    std::string text = "{";
    for (int i = 0; i < 5000; ++i)
        text += "\"m" + std::to_string(i) + "\":1,";
    text.back() = '}';
    CHECK(faults_of(text, [](json::ObjectReader&) {}).size() == 100);
}

TEST_CASE("e-mail addresses", "[json]") {
    auto decoder = [](json::ObjectReader& in) { in.text("e", {3, 254, "email"}); };
    auto accepts = [&](const std::string& address) {
        return faults_of(json::serialize(json::object{{"e", address}}), decoder).empty();
    };
    for (const char* good :
         {"a@b.co",
          "first.last+tag@sub.example.com",
          "x_y-z@ex-ample.org",
          "o'neil@example.ie",
          "1@2.de"}) {
        INFO(good);
        CHECK(accepts(good));
    }
    for (const char* bad :
         {"plain",
          "@example.com",
          "a@",
          "a@b",
          "a@@b.com",
          "a b@c.com",
          "a@b..com",
          ".a@b.com",
          "a.@b.com",
          "a..b@c.com",
          "a@-b.com",
          "a@b-.com",
          "a@b.com\r\nBcc: x@y.z",
          "<a@b.com>",
          "a@b.com.",
          "a,b@c.com",
          "ä@b.com",
          "a@b.com,c@d.com",
          "\"a\"@b.com",
          "a@[127.0.0.1]"}) {
        INFO(bad);
        CHECK_FALSE(accepts(bad));
    }
    CHECK_FALSE(accepts(std::string(65, 'a') + "@b.com"));
    CHECK_FALSE(accepts("a@" + std::string(64, 'b') + ".com"));
}

TEST_CASE("the schema says what the decoder accepts", "[json]") {
    json::object schema = json::schema_of([](json::ObjectReader& in) {
        in.text("email", {3, 254, "email"});
        in.optional_integer("age", {0, 150});
        in.boolean("news", true);
        in.one_of("role", {"a", "b"});
        in.optional_object("address", [](json::ObjectReader& a) { a.text("city", {1, 80}); });
        in.each("items", 1, 100, [](json::ObjectReader& item) { item.integer("q", {1, 9}); });
    });
    auto expected = json::parse(R"({
        "type": "object",
        "additionalProperties": false,
        "required": ["email", "role", "items"],
        "properties": {
            "email": {"type": "string", "minLength": 3, "maxLength": 254, "format": "email"},
            "age": {"type": ["integer", "null"], "minimum": 0, "maximum": 150},
            "news": {"type": ["boolean", "null"], "default": true},
            "role": {"type": "string", "enum": ["a", "b"]},
            "address": {
                "type": ["object", "null"], "additionalProperties": false,
                "required": ["city"],
                "properties": {"city": {"type": "string", "minLength": 1, "maxLength": 80}}
            },
            "items": {
                "type": "array", "minItems": 1, "maxItems": 100,
                "items": {
                    "type": "object", "additionalProperties": false, "required": ["q"],
                    "properties": {"q": {"type": "integer", "minimum": 1, "maximum": 9}}
                }
            }
        }
    })");
    CHECK(json::value(schema) == *expected);
}

TEST_CASE("decode_as yields the value or the faults", "[json]") {
    struct Point {
        std::int64_t x, y;
    };
    Point (*read)(json::ObjectReader&) = [](json::ObjectReader& in) {
        Point p{};
        p.x = in.integer("x");
        p.y = in.integer("y");
        return p;
    };
    CHECK(json::decode_as<Point>(R"({"x":1,"y":2})", read)->y == 2);
    auto faulty = json::decode_as<Point>(R"({"x":1})", read);
    REQUIRE_FALSE(faulty);
    CHECK(faulty.error().code == "validation_failed");
}
