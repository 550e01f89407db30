// Money is an integer number of minor units and a currency; arithmetic is checked and capped below
// 2^53, so that a JSON reader with doubles still reads it exactly. Unit prices may be finer than a
// minor unit (at Stripe: `unit_amount_decimal`): they count millionths of one, and a line's total
// is rounded half up, once per line.
#pragma once

#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace souk {

inline constexpr std::int64_t max_amount = (std::int64_t{1} << 53) - 1;

/// An ISO 4217 code with its own exponent (0, 2 or 3 decimals).
class Currency {
public:
    /// Errors: `invalid` "unknown_currency" for codes that ISO 4217 does not list.
    static Result<Currency> parse(std::string_view code);
    static Currency gbp();
    std::string_view code() const { return {code_, 3}; }
    int exponent() const { return exponent_; }
    bool operator==(const Currency&) const = default;

private:
    Currency(std::string_view code, int exponent);
    char code_[3];
    std::int8_t exponent_;
};

struct Money {
    Money(std::int64_t amount, Currency currency) : amount(amount), currency(currency) {}
    std::int64_t amount;  // minor units
    Currency currency;
    bool operator==(const Money&) const = default;
};

/// Errors: `invalid` "currency_mismatch", "amount_too_large".
Result<Money> add(const Money& a, const Money& b);
/// "12.34 GBP", for people.
std::string to_text(const Money& money);

/// A price of one unit in millionths of a minor unit.
class UnitPrice {
public:
    static UnitPrice from_minor(std::int64_t amount) { return UnitPrice(amount * 1'000'000); }
    static UnitPrice from_micros(std::int64_t micros) { return UnitPrice(micros); }
    /// Reads minor units as a decimal string with at most 6 decimals ("0.1" is a tenth of a penny).
    /// Errors: `invalid` "bad_decimal", "amount_too_large"; negative prices are "bad_decimal".
    static Result<UnitPrice> parse_minor_decimal(std::string_view text);
    std::int64_t micros() const { return micros_; }
    /// The price in whole minor units, rounded half up.
    std::int64_t rounded_minor() const;
    bool is_whole() const { return micros_ % 1'000'000 == 0; }
    /// Minor units without trailing zeros: "0.1", "255".
    std::string minor_decimal() const;
    /// quantity × price, rounded half up to a minor unit. Errors: `invalid` "amount_too_large",
    /// "bad_quantity" when quantity < 0.
    Result<std::int64_t> times(std::int64_t quantity) const;
    bool operator==(const UnitPrice&) const = default;

private:
    explicit UnitPrice(std::int64_t micros) : micros_(micros) {}
    std::int64_t micros_;
};

}  // namespace souk
