// How many calls may be tried again, so that a peer in trouble does not get more work for it: a
// fifth of the calls, and a few a second besides. From any thread.
#pragma once

#include "souk/clock.hpp"

#include <atomic>
#include <cstdint>

namespace souk::peers {

class RetryBudget {
public:
    static constexpr int constant = 10;  // retries that a quiet peer may have at once

    void called() { add(ratio_percent); }
    /// False: the budget is spent.
    bool take(SteadyTime now);

private:
    static constexpr std::int64_t retry = 100;
    static constexpr std::int64_t ratio_percent = 20;
    static constexpr std::int64_t most = constant * retry;
    void add(std::int64_t percent);

    std::atomic<std::int64_t> percent_ = most;
    std::atomic<std::int64_t> refilled_at_s_ = 0;
};

}  // namespace souk::peers
