// A background task that runs a step, sleeps, and runs it again until it is stopped.
#pragma once

#include "souk/clock.hpp"

#include <functional>
#include <memory>

namespace souk::order::app {

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

}  // namespace souk::order::app
