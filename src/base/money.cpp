#include "souk/money.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace souk {
namespace {

using Int128 = __int128;

constexpr std::int64_t micros_per_minor = 1'000'000;
constexpr std::size_t max_decimals = 6;

// ISO 4217, active codes of money that is paid with: no funds, metals or testing codes.
constexpr std::string_view no_decimals =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF ";
constexpr std::string_view three_decimals = "BHD IQD JOD KWD LYD OMR TND ";
constexpr std::string_view two_decimals =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
    "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN "
    "QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
    "TRY TTD TWD TZS UAH USD UYU UZS VES VED WST XCD XCG YER ZAR ZMW ZWG ";

bool is_letter(char c) {
    return c >= 'A' && c <= 'Z';
}

/// `list` is codes of three letters, each followed by a space.
bool lists(std::string_view list, std::string_view code) {
    for (std::size_t i = 0; i < list.size(); i += 4)
        if (list.substr(i, 3) == code) return true;
    return false;
}

Error too_large() {
    return invalid("amount_too_large", "the amount does not fit into 53 bits");
}

Error bad_decimal(std::string_view text) {
    return invalid(
        "bad_decimal", fmt::format("\"{}\" is not a price with at most 6 decimals", text)
    );
}

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Int128 divide_half_up(Int128 value, std::int64_t by) {
    // Half up means towards plus infinity, also below zero; C++ division rounds towards zero.
    Int128 doubled = 2 * value + by;
    Int128 quotient = doubled / (2 * static_cast<Int128>(by));
    if (doubled % (2 * static_cast<Int128>(by)) < 0) --quotient;
    return quotient;
}

std::int64_t power_of_ten(int exponent) {
    std::int64_t power = 1;
    for (int i = 0; i < exponent; ++i)
        power *= 10;
    return power;
}

}  // namespace

Currency::Currency(std::string_view code, int exponent)
    : code_{code[0], code[1], code[2]}, exponent_(static_cast<std::int8_t>(exponent)) {}

Result<Currency> Currency::parse(std::string_view code) {
    if (code.size() == 3 && std::all_of(code.begin(), code.end(), is_letter)) {
        if (lists(two_decimals, code)) return Currency(code, 2);
        if (lists(no_decimals, code)) return Currency(code, 0);
        if (lists(three_decimals, code)) return Currency(code, 3);
    }
    return invalid("unknown_currency", "not an active ISO 4217 currency code in capitals");
}

Currency Currency::gbp() {
    return Currency("GBP", 2);
}

Result<Money> add(const Money& a, const Money& b) {
    if (a.currency != b.currency)
        return invalid(
            "currency_mismatch",
            fmt::format("cannot add {} to {}", b.currency.code(), a.currency.code())
        );
    Int128 sum = static_cast<Int128>(a.amount) + b.amount;
    if (sum > max_amount || sum < -max_amount) return too_large();
    return Money(static_cast<std::int64_t>(sum), a.currency);
}

std::string to_text(const Money& money) {
    int decimals = money.currency.exponent();
    auto code = money.currency.code();
    if (decimals == 0) return fmt::format("{} {}", money.amount, code);
    std::int64_t unit = power_of_ten(decimals);
    std::string_view sign = money.amount < 0 ? "-" : "";
    // Each part on its own: the whole of INT64_MIN has no positive counterpart.
    std::int64_t whole = std::abs(money.amount / unit);
    std::int64_t part = std::abs(money.amount % unit);
    return fmt::format("{}{}.{:0{}} {}", sign, whole, part, decimals, code);
}

Result<UnitPrice> UnitPrice::parse_minor_decimal(std::string_view text) {
    auto point = text.find('.');
    std::string_view whole = text.substr(0, point);
    std::string_view part;
    if (point != std::string_view::npos) {
        part = text.substr(point + 1);
        if (part.empty() || part.size() > max_decimals || !all_digits(part))
            return bad_decimal(text.substr(0, 40));
    }
    if (whole.empty() || !all_digits(whole)) return bad_decimal(text.substr(0, 40));

    constexpr std::int64_t largest = max_amount / micros_per_minor;  // minor units
    std::int64_t minor = 0;
    auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), minor);
    if (parsed.ec != std::errc{} || minor >= largest) return too_large();
    std::int64_t micros = 0;
    std::from_chars(part.data(), part.data() + part.size(), micros);
    micros *= power_of_ten(static_cast<int>(max_decimals - part.size()));
    return from_micros(minor * micros_per_minor + micros);
}

std::int64_t UnitPrice::rounded_minor() const {
    return static_cast<std::int64_t>(divide_half_up(micros_, micros_per_minor));
}

std::string UnitPrice::minor_decimal() const {
    std::string_view sign = micros_ < 0 ? "-" : "";
    std::int64_t whole = std::abs(micros_ / micros_per_minor);
    std::int64_t part = std::abs(micros_ % micros_per_minor);
    if (part == 0) return fmt::format("{}{}", sign, whole);
    std::string text = fmt::format("{}{}.{:06}", sign, whole, part);
    text.erase(text.find_last_not_of('0') + 1);
    return text;
}

Result<std::int64_t> UnitPrice::times(std::int64_t quantity) const {
    if (quantity < 0) return invalid("bad_quantity", "a quantity is not negative");
    Int128 total = divide_half_up(static_cast<Int128>(micros_) * quantity, micros_per_minor);
    if (total > max_amount || total < -max_amount) return too_large();
    return static_cast<std::int64_t>(total);
}

}  // namespace souk
