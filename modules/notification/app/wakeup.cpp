#include "app/wakeup.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>

namespace souk::notification::app {

void Wakeup::notify() {
    notified_ = true;
    cancel_.emit(asio::cancellation_type::terminal);
}

Task<void> Wakeup::wait(microseconds at_most) {
    if (!notified_) {
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

}  // namespace souk::notification::app
