#include "bench/load/schedule.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using namespace souk::bench;

TEST_CASE("requests are due at start + i / rate, without drift", "[bench]") {
    const Schedule schedule(3000, 5 * second, 0, 1);
    CHECK(schedule.due(0) == 5 * second);
    CHECK(schedule.due(1) == 5 * second + 333'333);
    CHECK(schedule.due(3000) == 6 * second);
    CHECK(schedule.due(3000 * 3600) == 3605 * second);
}

TEST_CASE("the threads' shares make up the whole", "[bench]") {
    constexpr std::uint64_t threads = 3;
    constexpr std::uint64_t all = 1000;
    const Schedule whole(1234.5, second, 0, 1);
    std::multiset<Nanoseconds> expected;
    std::multiset<Nanoseconds> shared;
    for (std::uint64_t i = 0; i < all; ++i)
        expected.insert(whole.due(i));
    for (std::uint64_t thread = 0; thread < threads; ++thread) {
        const Schedule mine(1234.5, second, thread, threads);
        for (std::uint64_t i = 0; i < share_of(all, thread, threads); ++i)
            shared.insert(mine.due(i));
    }
    CHECK(shared == expected);
}
