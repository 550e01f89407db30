
#include "base/virtual_clock.hpp"
#include "souk/background.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>

using namespace souk;

namespace {

Task<void> wait_and_count(Wakeup& wakeup, microseconds at_most, int& woken) {
    co_await wakeup.wait(at_most);
    ++woken;
}

}  // namespace

TEST_CASE("a wakeup comes by time, by notification, and is not lost in between") {
    asio::io_context io;
    base::VirtualClock clock;
    Wakeup wakeup(io.get_executor(), clock);
    int woken = 0;
    auto wait = [&](microseconds at_most) {
        asio::co_spawn(io, wait_and_count(wakeup, at_most, woken), asio::detached);
        io.restart();
        io.poll();
    };
    auto poll = [&] {
        io.restart();
        io.poll();
    };

    wait(seconds(1));
    CHECK(woken == 0);
    clock.advance(seconds(1));
    poll();
    CHECK(woken == 1);

    wait(seconds(1));
    wakeup.notify();
    wakeup.notify();
    poll();
    CHECK(woken == 2);

    wakeup.notify();  // nobody waits
    wait(seconds(1));
    CHECK(woken == 3);
    wait(seconds(1));  // and it counts once
    CHECK(woken == 3);
    CHECK(clock.sleepers() == 1);
    wakeup.notify();
    poll();
    CHECK(woken == 4);
    CHECK(clock.sleepers() == 0);
    wait(microseconds(-5));
    CHECK(woken == 5);
}

TEST_CASE("a notification before the sleep has begun wakes, too") {
    asio::io_context io;
    base::VirtualClock clock;
    Wakeup wakeup(io.get_executor(), clock);
    int woken = 0;
    asio::co_spawn(io, wait_and_count(wakeup, seconds(1), woken), asio::detached);
    // Between the start of the wait and that of the sleep lies a turn of the executor.
    for (int turns = 0; turns < 3 && woken == 0; ++turns) {
        io.poll_one();
        wakeup.notify();
    }
    io.poll();
    CHECK(woken == 1);
    CHECK(clock.sleepers() == 0);
}
