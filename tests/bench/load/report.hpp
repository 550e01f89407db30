// The one line of JSON that a run prints.
#pragma once

#include "bench/load/worker.hpp"

#include <string>

namespace souk::bench {

std::string to_json(const Totals& totals);
/// The values of `"quantiles_us":[...]`, [part, us], closer and closer to the end.
std::string quantiles_json(const Histogram& latencies);

}  // namespace souk::bench
