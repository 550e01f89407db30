// `souk import online-retail`: the data set's products, stock and customers into a running shop.
// Idempotent: every step is an upsert by code or customer number.
#pragma once

#include "cli/api_session.hpp"
#include "cli/online_retail/dataset.hpp"

#include <map>
#include <string>

namespace souk::cli {

inline constexpr std::string_view retail_source = "online-retail";

struct ImportReport {
    std::int64_t products = 0;
    std::int64_t unpublished = 0;  // without a price
    std::int64_t customers = 0;
};

/// The stock of each product becomes exactly what its sales need. Errors: the shop's first refusal.
Task<Result<ImportReport>> import_retail(ApiConnection& shop, const RetailData& data);

/// Upserts the customers; customer number → user id.
Task<Result<std::map<std::string, std::string, std::less<>>>> import_customers(
    ApiConnection& shop, const RetailData& data
);

/// Stock code → product id, from the published catalogue.
Task<Result<std::map<std::string, std::string, std::less<>>>> read_catalogue(ApiConnection& shop);

}  // namespace souk::cli
