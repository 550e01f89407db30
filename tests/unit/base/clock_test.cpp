#include "base/system_clock.hpp"
#include "base/virtual_clock.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <catch2/catch.hpp>

#include <thread>

using namespace souk;
using base::VirtualClock;

namespace {

std::string round_trip(std::string_view text) {
    auto parsed = parse_rfc3339(text);
    return parsed ? to_rfc3339(*parsed) : parsed.error().code;
}

/// Runs what is ready; true when nothing else can.
void settle(asio::io_context& context) {
    context.restart();
    context.poll();
}

Task<void> sleep_and_note(Clock& clock, microseconds duration, int number, std::vector<int>& log) {
    bool slept = co_await clock.sleep(duration);
    log.push_back(slept ? number : -number);
}

}  // namespace

TEST_CASE("times are RFC 3339 in UTC", "[clock]") {
    CHECK(to_rfc3339(from_micros(0)) == "1970-01-01T00:00:00.000Z");
    CHECK(to_rfc3339(from_micros(-1)) == "1969-12-31T23:59:59.999Z");
    CHECK(to_rfc3339(from_micros(1'764'000'000'123'999)) == "2025-11-24T16:00:00.123Z");
    CHECK(round_trip("2026-11-23T11:16:00Z") == "2026-11-23T11:16:00.000Z");
    CHECK(round_trip("2026-11-23T11:16:00.5Z") == "2026-11-23T11:16:00.500Z");
    CHECK(round_trip("2026-11-23t11:16:00.123456789z") == "2026-11-23T11:16:00.123Z");
    CHECK(round_trip("2026-01-01T00:30:00+01:00") == "2025-12-31T23:30:00.000Z");
    CHECK(round_trip("2026-01-01T00:30:00-05:30") == "2026-01-01T06:00:00.000Z");
    CHECK(round_trip("2024-02-29T00:00:00Z") == "2024-02-29T00:00:00.000Z");
    CHECK(round_trip("2016-12-31T23:59:60Z") == "2017-01-01T00:00:00.000Z");
    CHECK(to_micros(*parse_rfc3339("1970-01-01T00:00:00.000001Z")) == 1);
}

TEST_CASE("what is no RFC 3339 time is refused", "[clock]") {
    auto text = GENERATE(
        as<std::string>{},
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T11:16:00",
        "2026-11-23 11:16:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T11:60:00Z",
        "2026-11-23T11:16:61Z",
        "2026-11-23T11:16:00.Z",
        "2026-11-23T11:16:00Zx",
        "2026-11-23T11:16:00+0100",
        "2026-11-23T11:16:00+24:00",
        "2026-11-23T11:16:00+01:60",
        "26-11-23T11:16:00Z",
        "2026-11-2xT11:16:00Z",
        "-026-11-23T11:16:00Z",
        "2026-11-23T11:16Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01"
    );
    INFO(text);
    CHECK(round_trip(text) == "bad_timestamp");
}

TEST_CASE("the system clock sleeps, and wakes early when cancelled", "[clock]") {
    auto& clock = base::system_clock();
    CHECK(test::run_task(clock.sleep(microseconds(1))));

    asio::io_context context;
    std::vector<int> log;
    asio::cancellation_signal cancel;
    asio::co_spawn(
        context,
        sleep_and_note(clock, microseconds::max(), 1, log),
        asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {})
    );
    context.poll();
    CHECK(log.empty());
    cancel.emit(asio::cancellation_type::terminal);
    settle(context);
    CHECK(log == std::vector<int>{-1});
}

TEST_CASE("the virtual clock wakes whoever has slept long enough", "[clock]") {
    VirtualClock clock;
    asio::io_context context;
    std::vector<int> log;
    Timestamp start = clock.now();
    spawn(context.get_executor(), [&] { return sleep_and_note(clock, seconds(3), 3, log); });
    spawn(context.get_executor(), [&] { return sleep_and_note(clock, seconds(1), 1, log); });
    spawn(context.get_executor(), [&] { return sleep_and_note(clock, seconds(2), 2, log); });
    spawn(context.get_executor(), [&] { return sleep_and_note(clock, seconds(0), 9, log); });
    context.poll();
    CHECK(log == std::vector<int>{9});
    CHECK(clock.sleepers() == 3);
    clock.advance(milliseconds(999));
    settle(context);
    CHECK(log.size() == 1);
    clock.advance(milliseconds(1001));
    settle(context);
    CHECK(log == std::vector<int>{9, 1, 2});
    clock.step_wall(-seconds(100));
    clock.advance(seconds(1));
    settle(context);
    CHECK(log == std::vector<int>{9, 1, 2, 3});
    CHECK(clock.now() == start + seconds(3) - seconds(100));
    CHECK(clock.steady() == SteadyTime(seconds(3)));
    CHECK(clock.sleepers() == 0);
}

TEST_CASE("a cancelled or destroyed sleeper is forgotten", "[clock]") {
    VirtualClock clock;
    std::vector<int> log;
    {
        asio::io_context context;
        asio::cancellation_signal cancel;
        asio::co_spawn(
            context,
            sleep_and_note(clock, seconds(1), 1, log),
            asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {})
        );
        spawn(context.get_executor(), [&] { return sleep_and_note(clock, seconds(1), 2, log); });
        context.poll();
        CHECK(clock.sleepers() == 2);
        cancel.emit(asio::cancellation_type::terminal);
        settle(context);
        CHECK(log == std::vector<int>{-1});
        CHECK(clock.sleepers() == 1);
    }
    CHECK(clock.sleepers() == 0);
    clock.advance(seconds(5));
    CHECK(log == std::vector<int>{-1});
}

TEST_CASE("the virtual clock is advanced from another thread", "[clock]") {
    VirtualClock clock;
    asio::io_context context;
    std::vector<int> log;
    for (int i = 1; i <= 50; ++i)
        spawn(context.get_executor(), [&, i] {
            return sleep_and_note(clock, milliseconds(i), i, log);
        });
    std::thread advancing([&] {
        while (clock.sleepers() < 50)
            std::this_thread::yield();
        for (int i = 0; i < 50; ++i)
            clock.advance(milliseconds(1));
    });
    context.run();
    advancing.join();
    CHECK(log.size() == 50);
    CHECK(std::is_sorted(log.begin(), log.end()));
}

TEST_CASE("deadlines", "[clock]") {
    VirtualClock clock;
    Deadline deadline(clock, seconds(2));
    CHECK_FALSE(deadline.passed(clock));
    CHECK(deadline.remaining(clock) == seconds(2));
    clock.advance(seconds(2));
    CHECK(deadline.passed(clock));
    CHECK_FALSE(Deadline::never().passed(clock));
}
