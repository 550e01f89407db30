// The meeting point of a coroutine on any thread that asks Redis something, and the connection that
// answers on another. The coroutine may be cancelled or destroyed, with its whole context, at any
// moment; the lock sees to it that nobody then wakes a context that is gone.
#pragma once

#include "base/signal.hpp"
#include "cache/redis/resp.hpp"
#include "souk/clock.hpp"

#include <memory>
#include <mutex>

namespace souk::cache {

class Call {
public:
    Call(std::shared_ptr<base::Signal> signal, SteadyTime deadline)
        : deadline(deadline), signal_(std::move(signal)) {}

    /// Connection: the first answer counts.
    void answer(Reply reply) {
        std::lock_guard lock(mutex_);
        if (!signal_) return;
        reply_ = std::move(reply);
        signal_->set();
        signal_.reset();  // under the lock: its context lives as long as the coroutine does
    }

    /// Coroutine: waits no more.
    void leave() {
        std::lock_guard lock(mutex_);
        signal_.reset();
    }

    /// Coroutine: the answer; `away` when there is none.
    Reply take() {
        std::lock_guard lock(mutex_);
        return std::move(reply_);
    }

    const SteadyTime deadline;

private:
    std::mutex mutex_;
    std::shared_ptr<base::Signal> signal_;  // empty: nobody waits
    Reply reply_;
};

/// Leaves the call when the coroutine's frame ends, whatever ended it.
class Attendance {
public:
    Attendance(std::shared_ptr<Call> call, std::shared_ptr<base::Signal> signal)
        : call_(std::move(call)), signal_(std::move(signal)) {}
    ~Attendance() { call_->leave(); }
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;

    /// False when cancelled.
    Task<bool> wait() { return signal_->wait(); }

private:
    std::shared_ptr<Call> call_;
    std::shared_ptr<base::Signal> signal_;
};

}  // namespace souk::cache
