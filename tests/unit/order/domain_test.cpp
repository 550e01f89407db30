#include "domain/order.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::order;

namespace {

domain::Offer priced(std::string id, std::string_view minor) {
    return domain::Offer(
        std::move(id), "SKU", "Name", UnitPrice::parse_minor_decimal(minor).value(), Currency::gbp()
    );
}

std::int64_t total(std::string_view minor, std::int64_t quantity) {
    const std::vector<domain::Item> items(1, domain::Item("prd_1", quantity, std::nullopt));
    const std::vector<domain::Offer> products(1, priced("prd_1", minor));
    return domain::price_order(items, products, Currency::gbp()).value().total.amount;
}

}  // namespace

TEST_CASE("a line is rounded half up, once") {
    CHECK(total("0.1", 1000) == 100);  // 1,000 × £0.001 = £1.00
    CHECK(total("0.5", 3) == 2);       // 3 × £0.005 = £0.02
    CHECK(total("0.5", 1) == 1);
    CHECK(total("0.499999", 1) == 0);
    CHECK(total("0.4", 1) == 0);  // an order of £0.00 is legal
    CHECK(total("255", 2) == 510);
}

TEST_CASE("each line is rounded on its own, also two of one product") {
    std::vector<domain::Item> items;
    items.emplace_back("prd_1", 1, std::nullopt);
    items.emplace_back("prd_1", 1, std::nullopt);
    const std::vector<domain::Offer> products(1, priced("prd_1", "0.5"));
    const auto order = domain::price_order(items, products, Currency::gbp()).value();
    CHECK(order.total.amount == 2);  // 1 + 1, not round(1.0)
    CHECK(order.units == 2);
    CHECK(order.lines.size() == 2);
}

TEST_CASE("given prices win, and sums have a limit") {
    const std::vector<domain::Offer> products(1, priced("prd_1", "255"));
    const auto given = UnitPrice::parse_minor_decimal("8999999999").value();
    std::vector<domain::Item> items(1, domain::Item("prd_1", 1'000'000, given));
    CHECK(
        domain::price_order(items, products, Currency::gbp())->total.amount == 8'999'999'999'000'000
    );
    items.emplace_back("prd_1", 1'000'000, given);
    const auto too_much = domain::price_order(items, products, Currency::gbp());
    REQUIRE_FALSE(too_much);
    CHECK(too_much.error().code == "amount_too_large");
}

TEST_CASE("a product in another currency is refused") {
    const std::vector<domain::Item> items(1, domain::Item("prd_1", 1, std::nullopt));
    const std::vector<domain::Offer> products(1, priced("prd_1", "255"));
    const auto order = domain::price_order(items, products, Currency::parse("EUR").value());
    REQUIRE_FALSE(order);
    CHECK(order.error().code == "currency_mismatch");
}

TEST_CASE("order numbers read well, are stable and differ by attempt") {
    const Timestamp day = parse_rfc3339("2026-11-23T08:00:00Z").value();
    const std::string number = domain::order_number("ord_1", day, 0);
    CHECK(number.size() == 18);
    CHECK(number.starts_with("SO-261123-"));
    CHECK(domain::order_number("ord_1", day, 0) == number);
    CHECK(domain::order_number("ord_1", day, 1) != number);
    CHECK(domain::order_number("ord_2", day, 0) != number);
}

TEST_CASE("a payment token is a provider's token and never a card's number") {
    CHECK(domain::check_payment_token("tok_approve"));
    CHECK(domain::check_payment_token("tok_charge_then_timeout"));
    for (const auto* bad : {"", "tok_", "card_1", "tok_A", "tok_a b", "Tok_a"}) {
        CAPTURE(bad);
        const auto result = domain::check_payment_token(bad);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::invalid);
    }
    CHECK_FALSE(domain::check_payment_token("tok_" + std::string(65, 'a')));
    for (const auto* card :
         {"4242424242424242",
          "4242 4242 4242 4242",
          "4242-4242-4242-4242",
          "tok_4242424242424242",
          "tok_a4242424242424242b",
          "tok_1_4242424242424242",
          "378282246310005",
          "6011000990139424"}) {
        CAPTURE(card);
        const auto result = domain::check_payment_token(card);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::unprocessable);
        CHECK(result.error().code == "card_number_refused");
        CHECK(result.error().detail.find("4242") == std::string::npos);
    }
    CHECK_FALSE(domain::looks_like_card("4242424242424241"));
    CHECK_FALSE(domain::looks_like_card("424242424242"));
}
