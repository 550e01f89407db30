// How background tasks wait: for the clock or for work, whichever comes first (`Wakeup`), or again
// and again at a fixed pace (`Periodic`). Both stop at once when asked, whatever they were waiting
// for.
#pragma once

#include "souk/clock.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <functional>
#include <memory>

namespace souk {

/// What a loop sleeps on. Notifications coalesce and are not lost when nobody waits. For one
/// waiter, on one executor.
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

/// A background task that sleeps, runs a step, and sleeps again until it is stopped.
class Periodic {
public:
    using Step = std::function<Task<void>()>;
    Periodic(Executor executor, Clock& clock, milliseconds every, Step step);
    ~Periodic();
    /// The first step comes after the first sleep.
    void start();
    /// Wakes the sleeper; returns when a step that runs has ended. Call on the executor.
    Task<void> stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace souk
