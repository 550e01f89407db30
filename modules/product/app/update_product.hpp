// Staff change what a product is called or costs, against the version that they saw.
#pragma once

#include "app/services.hpp"
#include "domain/product.hpp"

#include <optional>
#include <string>

namespace souk::product::app {

/// Only what is set is changed.
struct ProductChange {
    ProductChange() = default;
    std::optional<std::string> name;
    std::optional<std::string> description;
    std::optional<std::string> category;
    std::optional<Money> price;
};

/// Errors: `not_found`, `precondition_failed` "version_mismatch".
Task<Result<domain::Product>> update_product(
    Services& services,
    std::string id,
    std::int64_t expected_version,
    ProductChange change,
    Deadline deadline
);

}  // namespace souk::product::app
