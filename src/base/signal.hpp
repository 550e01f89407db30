// A one-shot event that any thread may set and one coroutine awaits: how work that ends on another
// thread (a pool, a driver's thread, a test's clock) wakes the coroutine that asked for it.
#pragma once

#include "souk/async.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <memory>

namespace souk::base {

/// `asio::steady_timer` on souk's concrete executor.
using Timer = asio::basic_waitable_timer<
    std::chrono::steady_clock,
    asio::wait_traits<std::chrono::steady_clock>,
    Executor>;

class Signal : public std::enable_shared_from_this<Signal> {
public:
    /// `executor` is that of the coroutine that will wait.
    static std::shared_ptr<Signal> make(const Executor& executor);

    /// From any thread. The executor's context must still exist.
    void set();
    /// True when set, false when the waiting coroutine was cancelled. On `executor` only.
    Task<bool> wait();

private:
    explicit Signal(const Executor& executor);

    Timer timer_;       // never expires: a cancellation of it is what wakes
    bool set_ = false;  // touched on the executor only
};

}  // namespace souk::base
