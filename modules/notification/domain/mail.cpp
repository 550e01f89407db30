#include "domain/mail.hpp"

#include "souk/id.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace souk::notification::domain {

std::string mail_id(std::string_view event_id) {
    return "mail_" + sha256_hex(event_id).substr(0, 32);
}

std::string unit_price_text(UnitPrice price, Currency currency) {
    constexpr std::size_t fine = 6;  // decimals of a minor unit
    const auto least = static_cast<std::size_t>(currency.exponent());
    auto digits = fmt::format("{:0{}}", price.micros(), fine + least + 1);
    auto whole = digits.substr(0, digits.size() - fine - least);
    auto decimals = digits.substr(whole.size());
    while (decimals.size() > least && decimals.back() == '0')
        decimals.pop_back();
    if (decimals.empty()) return fmt::format("{} {}", whole, currency.code());
    return fmt::format("{}.{} {}", whole, decimals, currency.code());
}

std::string_view cancel_reason_text(std::string_view reason) {
    if (reason == "payment_declined") return "your payment was declined";
    if (reason == "payment_timeout") return "your payment could not be completed in time";
    if (reason == "payment_refunded") return "your payment came too late and was given back";
    if (reason == "by_customer") return "you asked for it";
    return {};
}

microseconds retry_delay(std::int64_t tries) {
    auto doublings = std::clamp<std::int64_t>(tries - 1, 0, 9);
    return std::min<microseconds>(seconds(1) * (std::int64_t{1} << doublings), seconds(300));
}

}  // namespace souk::notification::domain
