#include "souk/money.hpp"

#include "support/result_text.hpp"

#include <catch2/catch.hpp>

using namespace souk;

namespace {

Currency currency(std::string_view code) {
    return Currency::parse(code).value();
}

UnitPrice price(std::string_view minor) {
    return UnitPrice::parse_minor_decimal(minor).value();
}

std::string price_error(std::string_view text) {
    auto parsed = UnitPrice::parse_minor_decimal(text);
    return parsed ? "" : parsed.error().code;
}

}  // namespace

TEST_CASE("currencies have their own exponents", "[money]") {
    CHECK(currency("GBP").exponent() == 2);
    CHECK(currency("EUR").exponent() == 2);
    CHECK(currency("JPY").exponent() == 0);
    CHECK(currency("ISK").exponent() == 0);
    CHECK(currency("KWD").exponent() == 3);
    CHECK(currency("TND").code() == "TND");
    CHECK(Currency::gbp() == currency("GBP"));
    CHECK(currency("AED").code() == "AED");
    CHECK(currency("ZWG").code() == "ZWG");
}

TEST_CASE("codes that ISO 4217 does not list are refused", "[money]") {
    for (std::string_view code :
         {"", "GB", "GBPX", "gbp", "XXX", "XAU", "BTC", "DEM", "BP ", "P G", "   ", "ED "}) {
        INFO(code);
        auto parsed = Currency::parse(code);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == "unknown_currency");
    }
}

TEST_CASE("sums are checked", "[money]") {
    Money a(max_amount - 1, Currency::gbp());
    CHECK(add(a, Money(1, Currency::gbp()))->amount == max_amount);
    CHECK(add(a, Money(2, Currency::gbp())).error().code == "amount_too_large");
    CHECK(add(a, Money(INT64_MAX, Currency::gbp())).error().code == "amount_too_large");
    CHECK(
        add(Money(INT64_MIN, Currency::gbp()), Money(INT64_MIN, Currency::gbp())).error().code ==
        "amount_too_large"
    );
    CHECK(add(a, Money(1, currency("EUR"))).error().code == "currency_mismatch");
    CHECK(add(Money(5, Currency::gbp()), Money(-7, Currency::gbp()))->amount == -2);
}

TEST_CASE("money for people", "[money]") {
    CHECK(to_text(Money(1234, Currency::gbp())) == "12.34 GBP");
    CHECK(to_text(Money(5, Currency::gbp())) == "0.05 GBP");
    CHECK(to_text(Money(-5, Currency::gbp())) == "-0.05 GBP");
    CHECK(to_text(Money(-1234, Currency::gbp())) == "-12.34 GBP");
    CHECK(to_text(Money(1234, currency("JPY"))) == "1234 JPY");
    CHECK(to_text(Money(1234, currency("BHD"))) == "1.234 BHD");
    CHECK(to_text(Money(INT64_MIN, Currency::gbp())) == "-92233720368547758.08 GBP");
}

TEST_CASE("a line's total is rounded half up, once", "[money]") {
    CHECK(price("0.1").times(1000).value() == 100);
    CHECK(price("0.5").times(3).value() == 2);
    CHECK(price("0.5").times(1).value() == 1);
    CHECK(price("0.499999").times(1).value() == 0);
    CHECK(price("0.4").times(3).value() == 1);  // 1.2, where rounding each would give 0
    CHECK(price("255").times(7).value() == 1785);
    CHECK(price("0.333333").times(3).value() == 1);
    CHECK(price("99").times(0).value() == 0);
    CHECK(price("2.5").rounded_minor() == 3);
    CHECK(UnitPrice::from_micros(-2'500'000).rounded_minor() == -2);
    CHECK(UnitPrice::from_micros(-2'500'001).rounded_minor() == -3);
    CHECK(UnitPrice::from_micros(-2'000'000).rounded_minor() == -2);
}

TEST_CASE("a line's total is checked", "[money]") {
    CHECK(price("1").times(max_amount).value() == max_amount);
    CHECK(price("1").times(max_amount + 1).error().code == "amount_too_large");
    CHECK(price("9000000000").times(INT64_MAX).error().code == "amount_too_large");
    CHECK(UnitPrice::from_micros(INT64_MAX).times(INT64_MAX).error().code == "amount_too_large");
    CHECK(price("1").times(-1).error().code == "bad_quantity");
}

TEST_CASE("prices are read as exact decimals", "[money]") {
    CHECK(price("0.1").micros() == 100'000);
    CHECK(price("0.000001").micros() == 1);
    CHECK(price("12.340000").micros() == 12'340'000);
    CHECK(price("0").micros() == 0);
    CHECK(price("007").micros() == 7'000'000);
    for (std::string_view bad :
         {"",
          ".",
          "1.",
          ".5",
          "-1",
          "+1",
          "1e3",
          "0.1234567",
          " 1",
          "1 ",
          "1,5",
          "0x1",
          "1.2.3",
          "nan",
          "1.-5"}) {
        INFO(bad);
        CHECK(price_error(bad) == "bad_decimal");
    }
    CHECK(price_error("9007199254740993") == "amount_too_large");
    CHECK(price_error("99999999999999999999999999") == "amount_too_large");
}

TEST_CASE("prices are written without trailing zeros", "[money]") {
    CHECK(price("0.1").minor_decimal() == "0.1");
    CHECK(price("255").minor_decimal() == "255");
    CHECK(price("255.000000").minor_decimal() == "255");
    CHECK(price("0.000001").minor_decimal() == "0.000001");
    CHECK(price("100").minor_decimal() == "100");
    CHECK(price("10.50").minor_decimal() == "10.5");
    CHECK(UnitPrice::from_micros(-100'000).minor_decimal() == "-0.1");
    CHECK(price("0.5").is_whole() == false);
    CHECK(price("5.0").is_whole());
}
