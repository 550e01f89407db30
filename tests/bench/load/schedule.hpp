// When the requests of an open loop are due: request i at start + i / rate, whatever became of
// those before it. A thread of several has every stride-th of them.
#pragma once

#include <cstdint>

namespace souk::bench {

/// Nanoseconds of the steady clock.
using Nanoseconds = std::int64_t;
inline constexpr Nanoseconds second = 1'000'000'000;
Nanoseconds now_ns();

class Schedule {
public:
    Schedule(double rate, Nanoseconds start, std::uint64_t first, std::uint64_t stride)
        : interval_(static_cast<double>(second) / rate)
        , start_(start)
        , first_(first)
        , stride_(stride) {}

    /// Of this thread's request `own`, counted from 0.
    Nanoseconds due(std::uint64_t own) const {
        return start_ +
               static_cast<Nanoseconds>(interval_ * static_cast<double>(first_ + own * stride_));
    }

private:
    double interval_;
    Nanoseconds start_;
    std::uint64_t first_;
    std::uint64_t stride_;
};

/// How many of `all` fall to a thread when each takes every `threads`-th.
constexpr std::uint64_t share_of(std::uint64_t all, std::uint64_t thread, std::uint64_t threads) {
    return all / threads + (thread < all % threads ? 1 : 0);
}

}  // namespace souk::bench
