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

    /// From any thread. The executor's context must still exist; the last reference may outlive it.
    void set();
    /// True when set, false when the waiting coroutine was cancelled. On `executor` only.
    Task<bool> wait();

private:
    class Waiter;
    explicit Signal(const Executor& executor) : executor_(executor) {}

    const Executor executor_;
    // Both touched on the executor only. The timer belongs to the coroutine, since whoever sets
    // the signal may let go of it after the timer's context has gone.
    bool set_ = false;
    Timer* waiting_ = nullptr;
};

}  // namespace souk::base
