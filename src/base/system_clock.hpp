// The clock of a running process.
#pragma once

#include "souk/clock.hpp"

namespace souk::base {

class SystemClock final : public Clock {
public:
    Timestamp now() const override;
    SteadyTime steady() const override;
    Task<bool> sleep(microseconds duration) override;
};

/// The one of this process.
SystemClock& system_clock();

}  // namespace souk::base
