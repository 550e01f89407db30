// Large bodies through the gateway to another process and back, byte for byte; what is too large is
// refused at the edge, before anybody else is asked.
#include "support/services.hpp"
#include "support/shop.hpp"
#include "support/split_shop.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <map>

using namespace souk;
using namespace souk::test;

namespace {

constexpr int articles = 100;
constexpr std::size_t description_bytes = 1900;
constexpr std::size_t import_limit = std::size_t{8} << 20;

/// No two alike, so that a part that is lost, doubled or misplaced is seen.
std::string description(int article) {
    std::string out;
    for (int i = 0; out.size() < description_bytes; ++i)
        out += fmt::format("{}.{} \u20ac ", article, i * 7919 % 1000);
    return out;
}

std::string import_body() {
    json::array items;
    for (int i = 0; i < articles; ++i) {
        json::object item;
        item["sku"] = fmt::format("SKU-{}", i);
        item["name"] = fmt::format("Article {}", i);
        item["description"] = description(i);
        item["currency"] = "GBP";
        item["unit_amount_decimal"] = "100";
        item["stock"] = 1;
        items.push_back(std::move(item));
    }
    json::object body;
    body["items"] = std::move(items);
    return json::serialize(body);
}

std::string chunked(const std::string& body) {
    constexpr std::size_t part = 5000;
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += part) {
        const std::string piece = body.substr(at, part);
        out += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    return out + "0\r\n\r\n";
}

}  // namespace

TEST_CASE("large bodies pass through the gateway as they are, both ways", "[.split]") {
    Shop shop(InParts{}, {});
    shop.start();
    const std::string body = import_body();
    REQUIRE(body.size() > 3 * 65536);  // many parts of a stream
    const std::vector<std::string> lines = {
        "Authorization: Bearer " + shop.admin_token(),
        "Content-Type: application/json",
        "Transfer-Encoding: chunked"};
    const std::string imported =
        exchange_raw(shop.process().port(), raw_post("/api/products/import", lines, chunked(body)));
    INFO(imported.substr(0, 1000));
    REQUIRE_THAT(imported, Catch::StartsWith("HTTP/1.1 200"));
    // With its length, again: the same articles.
    const auto again =
        shop.process().post("/api/products/import", body, Shop::headers(shop.admin_token()));
    CHECK(again.status == 200);

    const auto page = shop.process().get("/api/products?limit=100");
    REQUIRE(page.status == 200);
    CHECK(page.body.size() > 3 * 65536);
    std::map<std::string, std::string> wanted;
    for (int i = 0; i < articles; ++i)
        wanted[fmt::format("SKU-{}", i)] = description(i);
    std::map<std::string, std::string> got;
    const json::value parsed = test::parse(page);
    for (const json::value& product : parsed.at("data").as_array())
        got.emplace(product.at("sku").as_string(), product.at("description").as_string());
    CHECK(got == wanted);
}

TEST_CASE(
    "a body that is too large is refused at the edge, whoever is dead behind it", "[.split]"
) {
    Shop shop(InParts{}, {});
    shop.start();
    shop.parts().process("product").kill_hard();
    const std::vector<std::string> lines = {
        "Authorization: Bearer " + shop.admin_token(),
        "Content-Type: application/json",
        fmt::format("Content-Length: {}", import_limit + 1)};
    const auto send = [&](const std::vector<std::string>& head, const std::string& body) {
        return exchange_raw(shop.process().port(), raw_post("/api/products/import", head, body));
    };
    CHECK_THAT(send(lines, ""), Catch::StartsWith("HTTP/1.1 413"));
    // Refused before it was sent; what may be sent finds nobody there.
    const std::string small = R"({"items":[]})";
    std::vector<std::string> allowed = lines;
    allowed.back() = fmt::format("Content-Length: {}", small.size());
    CHECK_THAT(send(allowed, small), Catch::StartsWith("HTTP/1.1 503"));
    // Nor is anybody asked for whom it is no route.
    allowed.front() = "X-Nobody: 1";
    CHECK_THAT(send(allowed, small), Catch::StartsWith("HTTP/1.1 401"));
    CHECK_THAT(
        exchange_raw(shop.process().port(), raw_post("/api/products/none/none", allowed, small)),
        Catch::StartsWith("HTTP/1.1 404")
    );
}
