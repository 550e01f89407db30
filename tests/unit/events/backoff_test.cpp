#include "events/backoff.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace souk;
using events::full_jitter;

TEST_CASE("delays grow, spread over the whole range and end at the cap") {
    constexpr milliseconds base(100), cap(10'000);
    for (std::int64_t tries : {1, 2, 3, 7, 8, 60, 1'000'000}) {
        microseconds limit = cap;
        if (tries < 7) limit = std::min<microseconds>(base * (1 << (tries - 1)), cap);
        microseconds least = microseconds::max(), most(0);
        for (int i = 0; i < 500; ++i) {
            microseconds delay = full_jitter(base, tries, cap);
            least = std::min(least, delay);
            most = std::max(most, delay);
        }
        CHECK(least >= microseconds(0));
        CHECK(most <= limit);
        if (tries == 7) continue;  // 6.4 s, the last before the cap
        CHECK(least < limit / 4);
        CHECK(most > limit - limit / 4);
    }
}
