// Bad paths and queries through the binary: ids that are unknown or malformed on every route that
// has one, cursors, limits and search texts.
#include "souk/json.hpp"
#include "support/process.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace souk;
using test::Caller;
using test::faults_of_problem;
using test::Operation;
using test::StagedShop;

namespace {

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (unsigned char c : text)
        out += fmt::format("%{:02X}", c);
    return out;
}

void attack_path_id(StagedShop& shop, const Operation& operation) {
    INFO(operation.name);
    const Caller* caller = shop.caller_for(operation);
    const std::string body =
        operation.body.empty() ? "" : json::serialize(shop.sample_body(operation));
    const auto send = [&](const std::string& id) {
        std::string path = operation.pattern;
        path.replace(path.find("{id}"), 4, id);
        auto headers = shop.headers_for(operation, caller);
        return test::request(operation.method, shop.process().port(), path, body, headers);
    };
    const std::vector<std::string> unknown{
        "ord_00000000000000000000000000",
        "prd_00000000000000000000000000",
        "pay_00000000000000000000000000",
        shop.owner.id,
        "x",
        "0",
        "-1",
        "null",
        "undefined",
        "18446744073709551616",
        "*",
        "%25",
        "_",
        std::string(3000, 'a'),
        percent_encoded("' OR '1'='1"),
        percent_encoded("x'; DROP TABLE orders; --"),
        percent_encoded("\xF0\x9F\x92\xA9"),
        percent_encoded("{id}"),
        shop.order_id + ";v=1",
        shop.order_id + "%20",
        "%20" + shop.order_id};
    for (const std::string& id : unknown) {
        INFO(id);
        CHECK(faults_of_problem(send(id), 404) == "");
    }
    for (const char* id :
         {"%00",
          "a%00b",
          "%0d%0a",
          "%ff",
          "%c0%af",
          "%2e%2e",
          "..",
          "a%2fb",
          "a%5cb",
          "%",
          "%zz",
          "%7f"}) {
        INFO(id);
        CHECK(faults_of_problem(send(id), 400) == "");
    }
    CHECK(faults_of_problem(send(std::string(5000, 'a')), 414) == "");
}

void attack_list(StagedShop& shop, const std::string& path) {
    http::Headers headers;
    headers.set("Authorization", "Bearer " + shop.owner.access_token);
    const auto refused = [&](const std::string& query) {
        INFO(path << "?" << query);
        CHECK(faults_of_problem(shop.process().get(path + "?" + query, headers), 400) == "");
    };
    for (const char* limit :
         {"0",
          "-1",
          "101",
          "2147483648",
          "9223372036854775808",
          "99999999999999999999",
          "abc",
          "",
          "1e1",
          "1.0",
          "0x10",
          "%201",
          "1%20",
          "+1",
          "%2B1",
          "1;DROP",
          "%D9%A1",
          "1,2",
          "null"})
        refused("limit=" + std::string(limit));
    const auto cursor = [](std::vector<std::string> fields) { return http::encode_cursor(fields); };
    const std::vector<std::string> cursors{
        "x",
        "!!!",
        "%20",
        "e30",                  // {}
        "WzEsMl0",              // [1,2]
        "W1tbW1tbW1tbW1tbW10",  // [[[[...
        "bnVsbA",               // null
        "bnVsbA==",
        std::string(3000, 'A'),
        cursor({}),
        cursor({"1"}),
        cursor({"1", "2", "3"}),
        cursor({"x", "ord_1"}),
        cursor({"", ""}),
        cursor({"1 OR 1=1", "x"}),
        cursor({"99999999999999999999", "x"}),
        cursor({"1.5", "x"})};
    for (const std::string& each : cursors)
        refused("cursor=" + each);
    // Of the right form, though not from here: taken for a position, not for SQL.
    const auto odd = shop.process().get(path + "?cursor=" + cursor({"1", "' OR '1'='1"}), headers);
    CHECK(odd.status == 200);
    CHECK(json::parse(odd.body)->at("data").as_array().empty());
    for (const char* query : {"limit=%", "limit=%zz", "q=%00", "q=%ff", "q=%0d%0a", "%00=1"})
        refused(query);
}

/// What is searched for is text, never a pattern and never SQL.
void attack_search(StagedShop& shop) {
    for (const char* name : {"q", "category"}) {
        for (const std::string_view text :
             {"' OR '1'='1", "%", "_", "'; DROP TABLE products; --"}) {
            INFO(name << "=" << text);
            const auto answer =
                shop.process().get(fmt::format("/api/products?{}={}", name, percent_encoded(text)));
            CHECK(answer.status == 200);
            const json::value found = json::parse(answer.body).value();
            for (const json::value& product : found.at("data").as_array())
                CHECK_THAT(json::serialize(product), Catch::Contains(std::string(text)));
        }
        const auto target = fmt::format("/api/products?{}={}", name, std::string(1000, 'q'));
        CHECK(faults_of_problem(shop.process().get(target), 400) == "");
    }
}

void attack_payments_query(StagedShop& shop) {
    http::Headers headers;
    headers.set("Authorization", "Bearer " + shop.owner.access_token);
    for (const char* query : {"", "?order_id=", "?order=x"})
        CHECK(
            faults_of_problem(
                shop.process().get("/api/payments" + std::string(query), headers), 400
            ) == ""
        );
    for (const std::string& id :
         {std::string("x"), percent_encoded("' OR '1'='1"), std::string(3000, 'a')}) {
        const auto answer = shop.process().get("/api/payments?order_id=" + id, headers);
        INFO(id << answer.body);
        CHECK((answer.status == 400 || json::parse(answer.body)->at("data").as_array().empty()));
    }
}

}  // namespace

TEST_CASE("paths and queries that make no sense are refused in words, and the shop goes on") {
    StagedShop shop;
    int with_id = 0;
    for (const Operation& operation : shop.operations()) {
        if (operation.pattern.find("{id}") == std::string::npos) continue;
        ++with_id;
        attack_path_id(shop, operation);
    }
    CHECK(with_id >= 6);
    attack_list(shop, "/api/products");
    attack_list(shop, "/api/orders");
    attack_search(shop);
    attack_payments_query(shop);
    CHECK(shop.faults_after_attacks() == "");
}
