#include "peers/retry_budget.hpp"

#include <algorithm>

namespace souk::peers {

bool RetryBudget::take(SteadyTime now) {
    const auto second = std::chrono::floor<seconds>(now).time_since_epoch().count();
    std::int64_t last = refilled_at_s_.load();
    // One a second comes back by itself; not those of a long silence, `most` is enough.
    if (second > last && refilled_at_s_.compare_exchange_strong(last, second) && last != 0)
        add(retry);
    std::int64_t left = percent_.load();
    while (left >= retry)
        if (percent_.compare_exchange_weak(left, left - retry)) return true;
    return false;
}

void RetryBudget::add(std::int64_t percent) {
    std::int64_t seen = percent_.load(std::memory_order_relaxed);
    if (seen >= most) return;  // full, as nearly always: no store
    while (!percent_.compare_exchange_weak(
        seen, std::min(most, seen + percent), std::memory_order_relaxed
    )) {
    }
}

}  // namespace souk::peers
