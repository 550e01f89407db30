#include "souk/blocking.hpp"

#include "support/result_text.hpp"
#include "support/run_task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

using namespace souk;

namespace {

Task<void> run_and_note(
    BlockingPool& pool, std::function<void()> job, std::vector<std::string>& log
) {
    Result<void> result = co_await pool.run(std::move(job));
    log.push_back(result ? "ok" : result.error().code);
}

}  // namespace

TEST_CASE("a job runs on the pool and its coroutine resumes at home", "[blocking]") {
    BlockingPool pool("test", 2, 8);
    auto home = std::this_thread::get_id();
    std::thread::id ran_on;
    std::thread::id resumed_on;
    auto body = [&]() -> Task<bool> {
        std::function<void()> job = [&] { ran_on = std::this_thread::get_id(); };
        Result<void> result = co_await pool.run(std::move(job));
        resumed_on = std::this_thread::get_id();
        co_return result.has_value();
    };
    CHECK(test::run_task(body()));
    CHECK(ran_on != home);
    CHECK(resumed_on == home);
}

TEST_CASE("an exception of the job arrives where it is awaited", "[blocking]") {
    BlockingPool pool("test", 1, 1);
    auto job = [] { throw std::runtime_error("planned"); };
    CHECK_THROWS_WITH(test::run_task(pool.run(job)), "planned");
    CHECK(test::run_task(pool.run([] {})));
}

TEST_CASE("a full queue refuses, and an emptied one takes again", "[blocking]") {
    BlockingPool pool("test", 1, 2);
    asio::io_context context;
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    std::atomic<bool> started = false;
    std::vector<std::string> log;
    auto wait = [&started, open] {
        started = true;
        open.wait();
    };
    spawn(context.get_executor(), [&] { return run_and_note(pool, wait, log); });
    context.poll();
    while (!started)
        std::this_thread::yield();
    for (int i = 0; i < 3; ++i)
        spawn(context.get_executor(), [&] {
            return run_and_note(
                pool, [] {}, log
            );
        });
    context.poll();
    CHECK(log == std::vector<std::string>{"busy"});
    gate.set_value();
    context.run();
    CHECK(log == std::vector<std::string>{"busy", "ok", "ok", "ok"});
    CHECK(test::run_task(pool.run([] {})));
}

TEST_CASE("stopping finishes what runs and abandons what waits", "[blocking]") {
    asio::io_context context;
    std::vector<std::string> log;
    std::atomic<bool> started = false;
    std::atomic<bool> finished = false;
    std::atomic<bool> never = false;
    {
        BlockingPool pool("test", 1, 4);
        auto slow = [&] {
            started = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            finished = true;
        };
        spawn(context.get_executor(), [&] { return run_and_note(pool, slow, log); });
        context.poll();
        while (!started)
            std::this_thread::yield();
        auto unreached = [&] { never = true; };
        spawn(context.get_executor(), [&] { return run_and_note(pool, unreached, log); });
        context.poll();
    }
    CHECK(finished);
    context.run();
    CHECK_FALSE(never);
    std::sort(log.begin(), log.end());
    CHECK(log == std::vector<std::string>{"busy", "ok"});
}

TEST_CASE("a cancelled caller leaves; its job ends unharmed", "[blocking]") {
    BlockingPool pool("test", 1, 4);
    asio::io_context context;
    std::vector<std::string> log;
    std::promise<void> gate;
    auto job = [open = gate.get_future().share()] { open.wait(); };
    asio::cancellation_signal cancel;
    asio::co_spawn(
        context,
        run_and_note(pool, job, log),
        asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {})
    );
    context.poll();
    cancel.emit(asio::cancellation_type::terminal);
    context.restart();
    context.poll();
    CHECK(log == std::vector<std::string>{"cancelled"});
    gate.set_value();
    CHECK(test::run_task(pool.run([] {})));
}
