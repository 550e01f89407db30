// Staff add units that arrived, or take off units that are gone. Once per Idempotency-Key: the key,
// the request's hash and the answer are committed with the change.
#pragma once

#include "app/services.hpp"
#include "domain/product.hpp"

#include <string>

namespace souk::product::app {

struct StockChange {
    StockChange() = default;
    std::string caller;
    std::string key;
    std::string product_id;
    std::string body;  // as sent
    std::int64_t delta = 0;
};

struct StockAnswer {
    StockAnswer() = default;
    std::string body;
    bool replayed = false;
};

using RenderStock = std::string (*)(const std::string& product_id, const domain::Stock& stock);

/// Errors: `not_found`, `conflict` "insufficient_stock" or "too_much_stock" (domain::max_stock),
/// `unprocessable` "idempotency_key_reused".
Task<Result<StockAnswer>> change_stock(
    Services& services, StockChange change, RenderStock render, Deadline deadline
);

}  // namespace souk::product::app
