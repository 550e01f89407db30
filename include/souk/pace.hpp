// How often a loop may begin that takes all that has gathered: each begin costs a transaction or
// two, whatever it serves, and what is busy with small ones has no time for large ones.
#pragma once

#include "souk/background.hpp"

#include <functional>

namespace souk {

/// Of the shop's loops on servers and of its workers: how much later each step of an order's way
/// may be for it, when the shop is busy.
inline constexpr milliseconds usual_pace{25};

/// Some begins after a rest are immediate, so that what comes alone waits for nothing; under load
/// they come `every` so often, and each serves what came meanwhile.
class Pace {
public:
    using Hurry = std::function<bool()>;
    /// `hurry` says that waiting brings nothing more: the loop shall end, or has all that can come.
    /// It is asked when the loop's own `wakeup` is notified.
    Pace(Wakeup& wakeup, Clock& clock, microseconds every, Hurry hurry);
    Pace(const Pace&) = delete;
    Pace& operator=(const Pace&) = delete;

    /// Until the loop may begin. `every` 0: at once.
    Task<void> next();

private:
    Wakeup& wakeup_;
    Clock& clock_;
    const microseconds every_;
    const Hurry hurry_;
    SteadyTime paid_until_ = SteadyTime::min();  // what begins cost so far
};

}  // namespace souk
