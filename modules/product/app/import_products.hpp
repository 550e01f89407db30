// Takes a catalogue over from another system: an upsert by SKU. An item's stock is the total that
// was ever received, so an import that is repeated changes nothing.
#pragma once

#include "app/services.hpp"
#include "domain/product.hpp"

#include <string>
#include <vector>

namespace souk::product::app {

struct ImportedProduct {
    ImportedProduct(std::string sku, std::string id) : sku(std::move(sku)), id(std::move(id)) {}
    std::string sku;
    std::string id;
};

struct ImportOutcome {
    ImportOutcome() = default;
    std::int64_t created = 0;
    std::int64_t updated = 0;
    std::int64_t unchanged = 0;
    std::vector<ImportedProduct> products;  // in the order of the request
};

/// `products`: at most domain::max_import, each SKU once, `available` the total received. All or
/// none. Errors: `conflict` "insufficient_stock" when a total is below what is held or sold.
Task<Result<ImportOutcome>> import_products(
    Services& services, std::vector<domain::Product> products, Deadline deadline
);

}  // namespace souk::product::app
