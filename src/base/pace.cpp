#include "souk/pace.hpp"

#include <algorithm>
#include <utility>

namespace souk {
namespace {

// What a rest saves up: an order takes each loop twice at most on its way, and a loop looks again
// after what it has found.
constexpr int saved = 4;

}  // namespace

Pace::Pace(Wakeup& wakeup, Clock& clock, microseconds every, Hurry hurry)
    : wakeup_(wakeup), clock_(clock), every_(every), hurry_(std::move(hurry)) {}

Task<void> Pace::next() {
    if (every_ == microseconds(0)) co_return;
    paid_until_ = std::max(paid_until_, clock_.steady()) + every_;
    const SteadyTime due = paid_until_ - saved * every_;
    while (!hurry_() && clock_.steady() < due)
        co_await wakeup_.wait(due - clock_.steady());
    paid_until_ = std::min(paid_until_, clock_.steady() + saved * every_);  // haste costs no more
}

}  // namespace souk
