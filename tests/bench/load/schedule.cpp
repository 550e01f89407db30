#include "bench/load/schedule.hpp"

#include <chrono>

namespace souk::bench {

Nanoseconds now_ns() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace souk::bench
