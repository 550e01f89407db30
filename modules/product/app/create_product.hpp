// Staff add a product with its first stock.
#pragma once

#include "app/services.hpp"
#include "domain/product.hpp"

namespace souk::product::app {

/// `product` without id, version and time, which are given here. Errors: `conflict` "sku_taken".
Task<Result<domain::Product>> create_product(
    Services& services, domain::Product product, Deadline deadline
);

}  // namespace souk::product::app
