#include "souk/background.hpp"

#include "base/signal.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <utility>

namespace souk {

void Wakeup::notify() {
    notified_ = true;
    cancel_.emit(asio::cancellation_type::terminal);
}

Task<void> Wakeup::wait(microseconds at_most) {
    if (!notified_ && at_most > microseconds(0)) {
        auto sleep = clock_.sleep(at_most);
        auto token = asio::bind_cancellation_slot(cancel_.slot(), use_task);
        try {
            co_await asio::co_spawn(executor_, std::move(sleep), token);
        } catch (const boost::system::system_error&) {
            // Cancelled before the sleep had begun: woken all the same.
        }
    }
    notified_ = false;
}

struct Periodic::State {
    State(Executor executor, Clock& clock, milliseconds every, Step step)
        : executor(executor)
        , clock(clock)
        , every(every)
        , step(std::move(step))
        , ended(executor, base::Timer::time_point::max()) {}

    static Task<void> run(std::shared_ptr<State> self) {
        for (;;) {
            self->sleeping = true;
            const bool slept = co_await self->clock.sleep(self->every);
            self->sleeping = false;
            if (!slept || self->stopping) co_return;
            co_await self->step();
            if (self->stopping) co_return;
        }
    }

    Executor executor;
    Clock& clock;
    const milliseconds every;
    const Step step;
    base::Timer ended;  // never expires: its cancellation says that run() has ended
    asio::cancellation_signal wake;
    bool running = false;
    bool sleeping = false;
    bool stopping = false;
};

Periodic::Periodic(Executor executor, Clock& clock, milliseconds every, Step step)
    : state_(std::make_shared<State>(executor, clock, every, std::move(step))) {}

Periodic::~Periodic() = default;

void Periodic::start() {
    state_->running = true;
    auto done = [state = state_](const std::exception_ptr& error) {
        state->running = false;
        state->ended.cancel();
        if (error) std::rethrow_exception(error);  // a task that dies silently would be worse
    };
    auto token = asio::bind_cancellation_slot(state_->wake.slot(), std::move(done));
    asio::co_spawn(state_->executor, State::run(state_), std::move(token));
}

Task<void> Periodic::stop() {
    auto state = state_;
    state->stopping = true;
    if (!state->running) co_return;
    if (state->sleeping) state->wake.emit(asio::cancellation_type::terminal);
    if (!state->running) co_return;
    boost::system::error_code ignored;
    auto token = asio::redirect_error(use_task, ignored);
    co_await state->ended.async_wait(token);
}

}  // namespace souk
