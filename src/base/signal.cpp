#include "base/signal.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>

namespace souk::base {

/// Stands in the waiting coroutine's frame, so that it is gone however the coroutine ends.
class Signal::Waiter {
public:
    explicit Waiter(std::shared_ptr<Signal> signal)
        : signal_(std::move(signal)), timer_(signal_->executor_, Timer::time_point::max()) {
        signal_->waiting_ = &timer_;
    }
    ~Waiter() { signal_->waiting_ = nullptr; }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    Timer& timer() { return timer_; }
    bool is_set() const { return signal_->set_; }

private:
    std::shared_ptr<Signal> signal_;
    Timer timer_;  // never expires: a cancellation of it is what wakes
};

std::shared_ptr<Signal> Signal::make(const Executor& executor) {
    return std::shared_ptr<Signal>(new Signal(executor));
}

void Signal::set() {
    auto wake = [self = shared_from_this()] {
        self->set_ = true;
        if (self->waiting_ != nullptr) self->waiting_->cancel();
    };
    asio::post(executor_, std::move(wake));
}

Task<bool> Signal::wait() {
    // Nothing else runs on this executor between the look at `set_` and the suspension.
    if (set_) co_return true;
    Waiter waiter(shared_from_this());
    boost::system::error_code ignored;
    auto token = asio::redirect_error(use_task, ignored);
    co_await waiter.timer().async_wait(token);
    co_return waiter.is_set();
}

}  // namespace souk::base
