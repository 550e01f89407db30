// What a product is, and the few rules that need no database.
#pragma once

#include "souk/clock.hpp"
#include "souk/error.hpp"
#include "souk/money.hpp"
#include "souk/product/api.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace souk::product::domain {

inline constexpr std::size_t max_import = 500;
inline constexpr std::size_t max_page = 100;
inline constexpr std::size_t max_audit_page = 1000;
/// So that a unit price in millionths of a minor unit stays below 2^53.
inline constexpr std::int64_t max_price_minor = 9'000'000'000;
inline constexpr std::int64_t max_stock = 1'000'000'000'000;

struct Product {
    explicit Product(Currency currency) : currency(currency) {}
    std::string id;
    std::string sku;
    std::string name;
    std::string description;
    std::string category;
    Currency currency;
    std::optional<UnitPrice> price;  // none: not published
    std::int64_t version = 1;
    Timestamp created_at{};
    std::int64_t available = 0;
};

struct Stock {
    Stock() = default;
    std::int64_t received = 0;
    std::int64_t available = 0;
    std::int64_t held = 0;
    std::int64_t sold = 0;
};

/// Units for each product, in ascending order of id: the order in which all writers lock.
using Quantities = std::map<std::string, std::int64_t>;

/// Sums lines per product. Errors: `invalid` "bad_quantity" when one is not positive.
Result<Quantities> sum_quantities(const std::vector<ReserveLine>& lines);

/// A FieldError "/items/N" for each of the caller's lines whose product is among `products`.
std::vector<FieldError> faults_of_lines(
    const std::vector<ReserveLine>& lines,
    const std::vector<std::string>& products,
    std::string_view code,
    std::string_view detail
);

}  // namespace souk::product::domain
