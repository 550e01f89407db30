// Where a transaction's body stands still until the server has answered. Unlike a timer it belongs
// to no reactor: whoever holds the lock of the body's request lets it go on or destroys it, on any
// thread.
#pragma once

#include "souk/async.hpp"

#include <memory>
#include <utility>

namespace souk::database::postgres {

class Suspension {
public:
    Task<void> wait() {
        auto hold = [this](auto handler) {
            held_ = std::make_unique<Holder<decltype(handler)>>(std::move(handler));
        };
        co_await asio::async_initiate<const asio::use_awaitable_t<Executor>&, void()>(
            hold, use_task
        );
    }
    bool waiting() const { return held_ != nullptr; }
    /// Runs the coroutine, here, up to its next suspension.
    void resume() {
        auto held = std::move(held_);
        held->resume();
    }

private:
    struct Held {
        virtual ~Held() = default;
        virtual void resume() = 0;
    };
    template <class Handler>
    struct Holder final : Held {
        explicit Holder(Handler handler) : handler(std::move(handler)) {}
        void resume() override {
            Handler taken(std::move(handler));
            taken();
        }
        Handler handler;
    };

    std::unique_ptr<Held> held_;
};

}  // namespace souk::database::postgres
