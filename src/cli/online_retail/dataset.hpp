// The "Online Retail" data set (Daqing Chen, UCI, doi 10.24432/C5BW33) as a shop's trade: products,
// customers and sales, with everything that is no sale counted by reason. Knows the set's habits:
// C… and A… invoices, codes that differ only in case, unit prices below a penny, one code on
// several lines, invoices that carry two times.
#pragma once

#include "souk/clock.hpp"
#include "souk/error.hpp"
#include "souk/money.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::cli {

struct RetailLine {
    RetailLine(std::string code, std::int64_t quantity, UnitPrice price)
        : code(std::move(code)), quantity(quantity), price(price) {}
    std::string code;
    std::int64_t quantity;
    UnitPrice price;
};

struct RetailSale {
    std::string invoice;
    std::string customer;
    Timestamp placed_at{};  // Europe/London in the file, UTC here; the earlier of two
    std::vector<RetailLine> lines;
};

struct RetailProduct {
    std::string name;                // the last description that is not empty
    std::optional<UnitPrice> price;  // the last positive one; none: unpublished
    std::int64_t sold = 0;           // units over all sales
};

struct RetailData {
    std::int64_t rows = 0;
    std::vector<RetailSale> sales;                               // in the order of the file
    std::map<std::string, RetailProduct, std::less<>> products;  // by code, case-sensitive
    std::map<std::string, std::string, std::less<>> customers;   // id → country
    std::map<std::string, std::int64_t, std::less<>> skipped;    // reason → rows
    std::int64_t lines = 0;                                      // of sales
    std::int64_t units = 0;                                      // of sales
    std::int64_t value_minor = 0;  // of sales, each line rounded half up to the penny
};

/// Why a row is no sale, tried in this order; empty for a sale.
std::string_view skip_reason(
    std::string_view invoice,
    std::int64_t quantity,
    bool price_is_positive,
    std::string_view customer
);

/// "2.55" pounds → 255 pence, "0.001" → 0.1 pence; nothing for a price that is negative or no
/// number with at most 8 decimals.
std::optional<UnitPrice> parse_pounds(std::string_view text);

/// "2010-12-01 08:26:00" in Europe/London. Errors: `invalid` "bad_time".
Result<Timestamp> parse_london(std::string_view text);

/// Reads a whole file, gzipped or not. Errors: `invalid` with the path, row, column and reason.
Result<RetailData> read_online_retail(const std::filesystem::path& file);

}  // namespace souk::cli
