#include "base/signal.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>

namespace souk::base {

Signal::Signal(const Executor& executor) : timer_(executor, Timer::time_point::max()) {}

std::shared_ptr<Signal> Signal::make(const Executor& executor) {
    return std::shared_ptr<Signal>(new Signal(executor));
}

void Signal::set() {
    auto wake = [self = shared_from_this()] {
        self->set_ = true;
        self->timer_.cancel();
    };
    asio::post(timer_.get_executor(), std::move(wake));
}

Task<bool> Signal::wait() {
    // Nothing else runs on this executor between the look at `set_` and the suspension.
    auto self = shared_from_this();
    if (!set_) {
        boost::system::error_code ignored;
        auto token = asio::redirect_error(use_task, ignored);
        co_await timer_.async_wait(token);
    }
    co_return set_;
}

}  // namespace souk::base
