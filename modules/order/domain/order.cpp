#include "domain/order.hpp"

#include "souk/id.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace souk::order::domain {

namespace {

constexpr std::string_view base32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford's
constexpr std::size_t min_card_digits = 13;
constexpr std::size_t max_card_digits = 19;
constexpr std::string_view token_prefix = "tok_";
constexpr std::size_t max_token_tail = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool passes_luhn(std::string_view digits) {
    int sum = 0;
    bool twice = false;
    for (auto it = digits.rbegin(); it != digits.rend(); ++it, twice = !twice) {
        int digit = *it - '0';
        if (twice) digit *= 2;
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
}

/// In a run that is longer than any card's number, one may stand at any place.
bool is_card(std::string_view digits) {
    if (digits.size() < min_card_digits) return false;
    if (digits.size() <= max_card_digits) return passes_luhn(digits);
    for (std::size_t start = 0; start + min_card_digits <= digits.size(); ++start) {
        const std::size_t longest = std::min(max_card_digits, digits.size() - start);
        for (std::size_t size = min_card_digits; size <= longest; ++size)
            if (passes_luhn(digits.substr(start, size))) return true;
    }
    return false;
}

bool is_separator(char c) {
    return c == ' ' || c == '-' || c == '_' || c == '.';
}

bool is_token(std::string_view token) {
    if (!token.starts_with(token_prefix)) return false;
    token.remove_prefix(token_prefix.size());
    return !token.empty() && token.size() <= max_token_tail &&
           std::all_of(token.begin(), token.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_';
           });
}

std::vector<FieldError> token_fault(std::string code, std::string detail) {
    std::vector<FieldError> faults;
    faults.emplace_back("/payment/token", std::move(code), std::move(detail));
    return faults;
}

}  // namespace

Result<Priced> price_order(
    const std::vector<Item>& items, const std::vector<Offer>& offers, Currency currency
) {
    std::map<std::string_view, const Offer*> by_id;
    for (const Offer& offer : offers)
        by_id[offer.product_id] = &offer;

    Priced priced(Money(0, currency));
    for (const Item& item : items) {
        const Offer& offer = *by_id.at(item.product_id);
        if (!item.given_price && offer.currency != currency)
            return invalid("currency_mismatch", "a product is sold in another currency");
        const UnitPrice price = item.given_price.value_or(offer.unit_price);
        auto total = price.times(item.quantity);
        if (!total) return total.error();
        auto sum = add(priced.total, Money(*total, currency));
        if (!sum) return sum.error();
        priced.total = *sum;
        priced.units += item.quantity;
        priced.lines.emplace_back(
            item.product_id, offer.sku, offer.name, item.quantity, price, *total
        );
    }
    return priced;
}

std::string order_number(std::string_view order_id, Timestamp placed_at, int attempt) {
    const std::string hash = sha256_hex(fmt::format("{}/{}", order_id, attempt));
    std::uint64_t bits = std::stoull(hash.substr(0, 10), nullptr, 16);
    std::string tail(8, '0');
    for (char& c : tail) {
        c = base32[bits % base32.size()];
        bits /= base32.size();
    }
    const std::string day = to_rfc3339(placed_at);  // 2026-11-23T...
    return fmt::format("SO-{}{}{}-{}", day.substr(2, 2), day.substr(5, 2), day.substr(8, 2), tail);
}

bool looks_like_card(std::string_view text) {
    std::string group;   // digits since the last separator
    std::string joined;  // and over separators, as cards print their number
    for (char c : text) {
        if (is_digit(c)) {
            group += c;
            joined += c;
            continue;
        }
        if (is_card(group) || is_card(joined)) return true;
        group.clear();
        if (!is_separator(c)) joined.clear();
    }
    return is_card(group) || is_card(joined);
}

Result<void> check_payment_token(std::string_view token) {
    if (looks_like_card(token)) {
        auto faults = token_fault("card_number_refused", "looks like a card's number");
        return Error(
                   ErrorKind::unprocessable,
                   "card_number_refused",
                   "send the payment provider's token, never a card's number"
        )
            .with_fields(std::move(faults));
    }
    if (is_token(token)) return Result<void>();
    auto faults = token_fault("format", "tok_ and up to 64 of a-z, 0-9 and _");
    return invalid("validation_failed", "the request body has faults, see errors")
        .with_fields(std::move(faults));
}

}  // namespace souk::order::domain
