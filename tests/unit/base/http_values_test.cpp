#include "souk/http.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;

TEST_CASE("header names compare without regard to case", "[http]") {
    Headers headers;
    headers.add("Content-Type", "text/plain");
    headers.add("X-A", "1");
    headers.add("x-a", "2");
    CHECK(headers.get("content-type") == "text/plain");
    CHECK(headers.get("X-a") == "1");
    CHECK(headers.count("X-A") == 2);
    CHECK_FALSE(headers.has("X-"));
    headers.set("X-A", "3");
    CHECK(headers.count("x-a") == 1);
    CHECK(headers.get("x-a") == "3");
}

TEST_CASE("a field may take another's name and value, however much the fields grow", "[http]") {
    Headers headers;
    headers.add("X-First", std::string(40, 'a'));
    for (int i = 0; i < 100; ++i)
        headers.add((*headers.begin()).first, headers.get("x-first"));
    CHECK(headers.count("X-First") == 101);
    for (const auto& [name, value] : headers) {
        CHECK(name == "X-First");
        CHECK(value == std::string(40, 'a'));
    }
    headers.set("X-First", headers.get("X-First"));
    const Headers copy = headers;
    CHECK(copy.count("X-First") == 1);
    CHECK(copy.get("X-First") == std::string(40, 'a'));
}

TEST_CASE("query parameters are decoded", "[http]") {
    Request request;
    request.query = "q=caf%C3%A9+au%20lait&limit=20&flag&empty=&q=second&%6eame=x&bad=%zz%4";
    CHECK(request.query_param("q") == "café au lait");
    CHECK(request.query_param("flag") == "");
    CHECK(request.query_param("empty") == "");
    CHECK(request.query_param("name") == "x");
    CHECK(request.query_param("bad") == "%zz%4");
    CHECK_FALSE(request.query_param("absent"));
    CHECK_FALSE(request.query_param(""));
    CHECK(request.query_integer("limit", 10, 1, 100).value() == 20);
    CHECK(request.query_integer("absent", 10, 1, 100).value() == 10);
    for (auto query :
         {"limit=0",
          "limit=101",
          "limit=",
          "limit=1x",
          "limit=1.0",
          "limit=+1",
          "limit=99999999999999999999"}) {
        request.query = query;
        INFO(query);
        CHECK(request.query_integer("limit", 10, 1, 100).error().code == "bad_query_parameter");
    }
}

TEST_CASE("path parameters", "[http]") {
    Request request;
    request.params.emplace_back("id", "ord_1");
    CHECK(request.param("id") == "ord_1");
    CHECK(request.param("other").empty());
}

TEST_CASE("whoever is told 503 is told when to come again", "[http]") {
    Error patient = unavailable("away", "the database is away").with_retry_after(7);
    CHECK(Response::problem(patient, "req_1").headers.get("Retry-After") == "7");
    Error plain = unavailable("away", "the database is away");
    CHECK(Response::problem(plain, "req_1").headers.get("Retry-After") == "1");
}

TEST_CASE("an error becomes an RFC 9457 problem", "[http]") {
    std::vector<FieldError> fields;
    fields.emplace_back("/items/0/quantity", "too_small", "at least 1");
    Error error = invalid("validation_failed", "faults").with_fields(std::move(fields));
    Response response = Response::problem(error, "req_1");
    CHECK(response.status == 400);
    CHECK(response.content_type == "application/problem+json");
    CHECK_FALSE(response.headers.has("Retry-After"));
    CHECK(
        souk::json::parse(response.body).value() == souk::json::parse(R"({
            "type": "urn:souk:problem:validation_failed", "title": "Bad Request", "status": 400,
            "detail": "faults", "code": "validation_failed", "request_id": "req_1",
            "retryable": false,
            "errors": [{"pointer": "/items/0/quantity", "code": "too_small",
                        "detail": "at least 1"}]
        })")
                                                        .value()
    );
    Response busy = Response::problem(unavailable("busy", "later"), "req_2");
    CHECK(busy.status == 503);
    CHECK(busy.headers.get("retry-after") == "1");
    CHECK(souk::json::parse(busy.body)->at("retryable").as_bool());
}

TEST_CASE("cursors are opaque and come back whole", "[http]") {
    std::vector<std::string> fields{"2026-01-01", "prd_\"é\\", ""};
    std::string cursor = encode_cursor(fields);
    CHECK(cursor.find_first_of("+/=\"{ ") == std::string::npos);
    CHECK(decode_cursor(cursor, 3).value() == fields);
    CHECK(decode_cursor(cursor, 2).error().code == "bad_cursor");
    CHECK(decode_cursor(encode_cursor({}), 0).value().empty());
    for (auto bad : {"", "!", "abc", "e30", "WzEsMl0", "W10="}) {  // {}, [1,2], padded []
        INFO(bad);
        CHECK(decode_cursor(bad, 2).error().code == "bad_cursor");
    }
    CHECK(decode_cursor(std::string(5000, 'W'), 1).error().code == "bad_cursor");
}

TEST_CASE("a page says whether there is more", "[http]") {
    CHECK(
        page(souk::json::array{1, 2}, "abc").body ==
        R"({"data":[1,2],"has_more":true,"next_cursor":"abc"})"
    );
    CHECK(page({}, "").body == R"({"data":[],"has_more":false,"next_cursor":null})");
}
