// The one line of JSON that a run prints.
#pragma once

#include "bench/load/worker.hpp"

#include <string>

namespace souk::bench {

std::string to_json(const Totals& totals);

}  // namespace souk::bench
