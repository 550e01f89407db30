// The SQL of the catalogue: products and what staff change about them.
#pragma once

#include "domain/product.hpp"
#include "souk/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::product::store {

using domain::Product;

/// A place in the list, newest first.
struct Position {
    Position() = default;
    Position(std::int64_t created_at, std::string id) : created_at(created_at), id(std::move(id)) {}
    std::int64_t created_at = std::numeric_limits<std::int64_t>::max();
    std::string id;
};

struct ListFilter {
    ListFilter() = default;
    Position after;
    std::size_t limit = 20;
    std::string category;  // empty: all
    std::string search;    // in name or SKU, without regard to case; empty: all
};

/// `may_lag`: a replica that is some seconds behind will do.
enum class Freshness : std::uint8_t { current, may_lag };

/// Published products after `filter.after`.
Task<Result<std::vector<Product>>> list_products(
    Database& database, ListFilter filter, Freshness freshness, Deadline deadline
);
Task<Result<std::optional<Product>>> find_product(
    Database& database, std::string id, Freshness freshness, Deadline deadline
);

/// Errors: `conflict` "sku_taken".
Task<Result<void>> insert_product(Transaction& tx, const Product& product);
/// Writes name, description, category, price where the version is still `product.version`. False
/// when it is not.
Task<Result<bool>> update_product(Transaction& tx, const Product& product, Timestamp now);

enum class Upsert : std::uint8_t { created, updated, unchanged };
struct Upserted {
    Upserted() = default;
    std::string id;
    Upsert outcome = Upsert::unchanged;
};
/// Inserts or updates each by its SKU, locking in ascending order of it; `id` and `created_at`
/// count for new ones. Results in the order of `products`.
Task<Result<std::vector<Upserted>>> upsert_products(
    Transaction& tx, const std::vector<Product>& products
);

}  // namespace souk::product::store
