// A clock that stands still until somebody advances it: tests and simulations own time with it.
#pragma once

#include "souk/clock.hpp"

#include <memory>

namespace souk::base {

class VirtualClock final : public Clock {
public:
    /// Starts at 2026-01-01T00:00:00Z unless told.
    explicit VirtualClock(Timestamp start = from_micros(1'767'225'600'000'000));
    ~VirtualClock() override;
    VirtualClock(const VirtualClock&) = delete;
    VirtualClock& operator=(const VirtualClock&) = delete;

    Timestamp now() const override;
    SteadyTime steady() const override;
    Task<bool> sleep(microseconds duration) override;

    /// Moves both times on and wakes, earliest first, who has slept long enough. From any thread.
    void advance(microseconds duration);
    /// Steps wall time only, forwards or back, as an operator or NTP does; nobody wakes.
    void step_wall(microseconds by);
    /// How many coroutines sleep: a test advances once they do.
    std::size_t sleepers() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace souk::base
