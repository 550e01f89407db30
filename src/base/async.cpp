#include "souk/async.hpp"

#include "base/log_sink.hpp"
#include "souk/log.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>

namespace souk {
namespace {

/// Keeps the callable, and so what it captures, alive as long as the coroutine that it makes.
Task<void> hold(std::function<Task<void>()> work) {
    co_await work();
}

void end_process(const std::exception_ptr& error) {
    const char* what = "unknown exception";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        what = e.what();
        Logger("souk").error("a background task failed", {{"error", what}});
    } catch (...) {
        Logger("souk").error("a background task failed", {{"error", what}});
    }
    base::LogSink::instance().flush(std::chrono::seconds(1));
    std::terminate();
}

}  // namespace

void spawn(const Executor& executor, std::function<Task<void>()> work) {
    asio::co_spawn(executor, hold(std::move(work)), [](const std::exception_ptr& error) {
        if (error) end_process(error);
    });
}

}  // namespace souk
