// The metrics port over prometheus-cpp.
#pragma once

#include "souk/metrics.hpp"

#include <memory>

namespace souk::observe {

/// An empty registry. `expose()` adds what every process tells of itself: resident memory, CPU
/// seconds, open descriptors, start time, log lines lost. It reads /proc: call it from the metrics
/// listener, not from a request.
std::unique_ptr<Metrics> make_metrics();

}  // namespace souk::observe
