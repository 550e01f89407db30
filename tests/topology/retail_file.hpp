// A small "Online Retail" file made by a fixed rule, and what it must come to, by arithmetic of its
// own: nothing here uses the importer's code.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace souk::test {

struct RetailExpectation {
    std::int64_t orders = 0;
    std::int64_t units = 0;
    std::int64_t pence = 0;
    std::int64_t free_orders = 0;  // that come to nothing
    std::map<std::string, std::int64_t> skipped;
    std::map<std::string, std::int64_t> units_by_code;
};

/// Writes `sales` sales and, between them, what is no sale: cancellations, adjustments, missing
/// customers, corrections, gifts.
RetailExpectation write_retail_file(const std::filesystem::path& file, int sales);

}  // namespace souk::test
