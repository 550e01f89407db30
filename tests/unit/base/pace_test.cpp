#include "souk/pace.hpp"

#include "base/virtual_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>

using namespace souk;

namespace {

struct Loop {
    explicit Loop(microseconds every)
        : wakeup(io.get_executor(), clock), pace(wakeup, clock, every, [this] { return hurry; }) {
        asio::co_spawn(io, run(*this), asio::detached);
        turn();
    }

    /// Begins as often as it may.
    static Task<void> run(Loop& loop) {
        while (loop.begun < 1000) {
            co_await loop.pace.next();
            ++loop.begun;
            if (!loop.busy) co_await loop.wakeup.wait(std::chrono::hours(1));
        }
    }

    void turn() {
        io.restart();
        io.poll();
    }

    /// What it began meanwhile.
    int pass(microseconds time, microseconds step = milliseconds(1)) {
        const int before = begun;
        for (microseconds passed{0}; passed < time; passed += step) {
            clock.advance(step);
            turn();
        }
        return begun - before;
    }

    asio::io_context io;
    base::VirtualClock clock;
    bool hurry = false;
    bool busy = false;
    int begun = 0;
    Wakeup wakeup;
    Pace pace;
};

}  // namespace

TEST_CASE("what comes alone waits for nothing, and under load a loop begins at its pace") {
    Loop loop(milliseconds(25));
    loop.pass(seconds(1));
    CHECK(loop.begun == 1);
    for (int i = 0; i < 10; ++i) {  // ten a second
        const int before = loop.begun;
        loop.wakeup.notify();
        loop.turn();
        CHECK(loop.begun == before + 1);  // no time has passed
        loop.pass(milliseconds(100));
    }

    loop.busy = true;
    loop.wakeup.notify();
    loop.turn();
    loop.pass(milliseconds(100));  // what was saved up is used
    CHECK(loop.pass(seconds(1)) == 40);

    // A loop that hurries is as fast as it can be, and pays nothing for it later.
    loop.hurry = true;
    loop.busy = false;
    loop.wakeup.notify();
    loop.turn();
    const int before = loop.begun;
    for (int i = 0; i < 20; ++i) {
        loop.wakeup.notify();
        loop.turn();
    }
    CHECK(loop.begun == before + 20);
    loop.hurry = false;
    loop.busy = true;
    loop.wakeup.notify();
    loop.turn();
    CHECK(loop.pass(seconds(1)) >= 40);
}
