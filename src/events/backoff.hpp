// How long to wait before the next try: exponential with full jitter, so that what failed together
// does not come back together.
#pragma once

#include "souk/clock.hpp"

namespace souk::events {

/// A random time below base × 2^(tries - 1), and below `cap`. `tries` counts from 1.
microseconds full_jitter(milliseconds base, std::int64_t tries, milliseconds cap);

}  // namespace souk::events
