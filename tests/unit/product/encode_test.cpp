#include "http/encode.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::product;

namespace {

domain::Product full_product() {
    domain::Product product(Currency::gbp());
    product.id = "prd_1";
    product.sku = "A-1";
    product.price = UnitPrice::from_micros(1'250'000);
    product.category = "gifts";
    product.available = 7;
    return product;
}

}  // namespace

TEST_CASE("a product's text is the JSON of its members, whatever they hold", "[product]") {
    domain::Product product = full_product();
    for (int c = 1; c < 0x80; ++c)
        product.name += static_cast<char>(c);
    product.description = "\"ends with a quote\" caf\xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x8e\x81 \\";
    const std::string text = http_api::render(product);
    auto parsed = json::parse(text);
    REQUIRE(parsed.has_value());
    CHECK(json::serialize(*parsed) == text);  // as the library writes it
    const auto& members = parsed->as_object();
    CHECK(members.at("name").as_string() == product.name);
    CHECK(members.at("description").as_string() == product.description);
    CHECK(members.at("stock").as_int64() == 7);
    CHECK(
        json::serialize(members.at("price")) ==
        R"({"amount":1,"currency":"GBP","unit_amount_decimal":"1.25"})"
    );
    CHECK(members.at("created_at").as_string() == "1970-01-01T00:00:00.000Z");
    product.price.reset();
    CHECK(json::parse(http_api::render(product))->at("price").is_null());
}

TEST_CASE("a page holds as many as were asked for, and where the next one begins", "[product]") {
    std::vector<domain::Product> products(3, full_product());
    const auto page = json::parse(http_api::render_page(products, 2, "a\"b")).value();
    CHECK(page.at("data").as_array().size() == 2);
    CHECK(page.at("has_more").as_bool());
    CHECK(page.at("next_cursor").as_string() == "a\"b");
    const auto last = json::parse(http_api::render_page(products, 3, "")).value();
    CHECK(last.at("data").as_array().size() == 3);
    CHECK_FALSE(last.at("has_more").as_bool());
    CHECK(last.at("next_cursor").is_null());
    const auto none = http_api::render_page({}, 0, "");
    CHECK(none == R"({"data":[],"has_more":false,"next_cursor":null})");
}
