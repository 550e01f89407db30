// Holds stock for an order: all of its lines or none, once per order.
#pragma once

#include "app/services.hpp"
#include "souk/product/api.hpp"

namespace souk::product::app {

/// Errors: those of Api::reserve().
Task<Result<std::vector<ReservedProduct>>> reserve(
    Services& services, std::string order_id, std::vector<ReserveLine> lines, Deadline deadline
);

/// The work of Services::reservations.
Task<Reservations::Answers> reserve_together(Services& services, std::vector<store::Wish> wishes);

}  // namespace souk::product::app
