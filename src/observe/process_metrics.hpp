// What every process tells of itself, by the names that Prometheus' own clients use.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace souk::observe {

std::vector<prometheus::MetricFamily> collect_process_metrics();

}  // namespace souk::observe
