#include "base/system_clock.hpp"

#include "base/signal.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace souk::base {

Timestamp SystemClock::now() const {
    return std::chrono::floor<microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const {
    return std::chrono::floor<microseconds>(std::chrono::steady_clock::now());
}

Task<bool> SystemClock::sleep(microseconds duration) {
    Executor executor = co_await asio::this_coro::executor;
    // "For ever" must not overflow when the timer adds it to now.
    Timer timer(executor, std::min<microseconds>(duration, std::chrono::years(1)));
    boost::system::error_code error;
    auto token = asio::redirect_error(use_task, error);
    co_await timer.async_wait(token);
    co_return !error;
}

SystemClock& system_clock() {
    static SystemClock clock;
    return clock;
}

}  // namespace souk::base
