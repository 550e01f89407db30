#include "events/backoff.hpp"

#include <algorithm>
#include <random>

namespace souk::events {

microseconds full_jitter(milliseconds base, std::int64_t tries, milliseconds cap) {
    thread_local std::mt19937_64 random{std::random_device{}()};
    std::int64_t doublings = std::clamp<std::int64_t>(tries - 1, 0, 20);
    microseconds longest = std::min<microseconds>(base * (std::int64_t{1} << doublings), cap);
    std::uniform_int_distribution<std::int64_t> up_to(0, longest.count());
    return microseconds(up_to(random));
}

}  // namespace souk::events
