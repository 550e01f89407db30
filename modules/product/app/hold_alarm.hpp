// Counts holds that are older than an order may take, for a gauge and a warning. It never releases
// one: only the order's own sweeper knows whether a hold is still needed.
#pragma once

#include "app/services.hpp"
#include "souk/metrics.hpp"

namespace souk::product::app {

/// The number of old holds; logs when there are any.
Task<Result<std::int64_t>> check_old_holds(Services& services, milliseconds age, Deadline deadline);

/// The same as a step of a background task, into `gauge`.
Task<void> watch_old_holds(Services& services, milliseconds age, Gauge& gauge);

}  // namespace souk::product::app
