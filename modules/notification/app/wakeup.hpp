// What a loop sleeps on: the clock's time or a notification, whichever comes first. Notifications
// coalesce and are not lost when nobody waits. For one waiter, on one executor.
#pragma once

#include "souk/clock.hpp"

#include <boost/asio/cancellation_signal.hpp>

namespace souk::notification::app {

class Wakeup {
public:
    Wakeup(Executor executor, Clock& clock) : executor_(executor), clock_(clock) {}
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    /// On the executor's thread only.
    void notify();
    /// Returns after `at_most`, or at once when notified since the last wait.
    Task<void> wait(microseconds at_most);

private:
    Executor executor_;
    Clock& clock_;
    asio::cancellation_signal cancel_;
    bool notified_ = false;
};

}  // namespace souk::notification::app
