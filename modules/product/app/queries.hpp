// What is read of the catalogue and of stock, without a change.
#pragma once

#include "app/services.hpp"
#include "souk/context.hpp"
#include "store/audit.hpp"
#include "store/catalogue.hpp"

namespace souk::product::app {

using store::ListFilter;
using store::Position;
using store::ReservationRow;
using store::StockRow;

/// Who may change products reads what they wrote, from neither replica nor cache.
bool reads_current(const Identity& caller);

/// Published products, newest first. A caller who cannot have written them may get a replica's.
Task<Result<std::vector<domain::Product>>> list_products(
    Services& services, CallContext ctx, ListFilter filter
);
/// Errors: `not_found`, also for what is not published, unless the caller may write products.
Task<Result<domain::Product>> get_product(Services& services, CallContext ctx, std::string id);

/// For the audit: all rows after an id, by id.
Task<Result<std::vector<StockRow>>> audit_stock(
    Services& services, std::string after_product, std::size_t limit, Deadline deadline
);
Task<Result<std::vector<ReservationRow>>> audit_reservations(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
);

}  // namespace souk::product::app
