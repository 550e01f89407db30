// When an attempt whose outcome is unknown is sent again. Pure.
#pragma once

#include "souk/clock.hpp"

#include <string_view>

namespace souk::payment::domain {

/// Doubles from 1 s to 60 s with the number of tries; the jitter (the upper half of it) comes from
/// the attempt's id, so that attempts that failed together do not come back together.
microseconds retry_delay(std::string_view attempt_id, std::int64_t tries);

}  // namespace souk::payment::domain
