// A crowd for what is scarce: never more is sold than there is, and who comes too late is told so.
#include "support/shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace souk;
using test::Outgoing;
using test::Shop;
using test::Wish;

namespace {

struct Rush {
    std::vector<std::string> buyers;  // tokens
    std::vector<http::Response> answers;
    std::vector<std::size_t> winners;  // places in both
};

/// Each of `buyers` customers asks for one unit of `product`, over 64 connections at once.
Rush rush_for(const Shop& shop, const std::string& product, std::size_t buyers) {
    Rush rush;
    for (const std::string& customer : shop.add_customers(buyers))
        rush.buyers.push_back(shop.token(customer));
    std::vector<Outgoing> requests;
    for (std::size_t i = 0; i < buyers; ++i)
        requests.push_back(Shop::order_request(
            rush.buyers[i], fmt::format("rush-{}-{}", product, i), Wish(product, 1)
        ));
    rush.answers = test::send_all(shop.process().port(), requests, 64);
    for (std::size_t i = 0; i < buyers; ++i)
        if (rush.answers[i].status == 201) rush.winners.push_back(i);
    return rush;
}

/// Everybody who did not win got the same clear refusal.
std::size_t clear_refusals(const Rush& rush) {
    std::size_t count = 0;
    for (const http::Response& answer : rush.answers) {
        if (answer.status == 201) continue;
        INFO(answer.status << " " << answer.body);
        REQUIRE(answer.status == 409);
        REQUIRE(answer.content_type == "application/problem+json");
        const json::value problem = test::parse(answer);
        REQUIRE(problem.at("code").as_string() == "out_of_stock");
        REQUIRE(problem.at("errors").as_array().size() == 1);
        REQUIRE(problem.at("errors").as_array()[0].at("code").as_string() == "out_of_stock");
        REQUIRE(problem.at("errors").as_array()[0].at("pointer").as_string() == "/items/0");
        ++count;
    }
    return count;
}

void check_all_paid(const Shop& shop, const Rush& rush) {
    for (const std::size_t winner : rush.winners) {
        const std::string id(test::parse(rush.answers[winner]).at("id").as_string());
        CHECK(shop.settled_order(rush.buyers[winner], id).at("status").as_string() == "paid");
    }
}

}  // namespace

TEST_CASE("a thousand buyers for the last unit: one paid order, 999 clear refusals") {
    Shop shop;
    shop.start();
    const auto products = shop.add_products({{"LAST", 1, "999"}});
    const std::string product = products.at("LAST");

    const Rush rush = rush_for(shop, product, 1000);
    CHECK(rush.winners.size() == 1);
    CHECK(clear_refusals(rush) == 999);
    check_all_paid(shop, rush);
    CHECK(shop.stock(product) == 0);

    const json::value verdict = shop.verify();
    CHECK(test::faults_of(verdict).empty());
    CHECK(verdict.at("counts").at("orders_paid").as_int64() == 1);
    CHECK(verdict.at("counts").at("units_sold").as_int64() == 1);
}

TEST_CASE("two hundred buyers for twenty units: twenty paid orders, nothing oversold") {
    Shop shop;
    shop.start();
    const auto products = shop.add_products({{"SCARCE", 20, "250"}});
    const std::string product = products.at("SCARCE");

    const Rush rush = rush_for(shop, product, 200);
    CHECK(rush.winners.size() == 20);
    CHECK(clear_refusals(rush) == 180);
    check_all_paid(shop, rush);
    CHECK(shop.stock(product) == 0);

    const json::value verdict = shop.verify();
    CHECK(test::faults_of(verdict).empty());
    CHECK(verdict.at("counts").at("orders_paid").as_int64() == 20);
    CHECK(verdict.at("counts").at("units_sold").as_int64() == 20);
    CHECK(shop.captures().size() == 20);
}
