// What waits in a queue of the driver: the meeting point of a coroutine on an I/O thread and the
// driver's thread that serves it. The coroutine may be cancelled or destroyed, with its whole
// context, at any moment; the lock sees to it that the driver then neither touches what the
// coroutine owned (bodies capture by reference) nor wakes a context that is gone.
#pragma once

#include "base/signal.hpp"
#include "souk/database.hpp"

#include <exception>
#include <memory>
#include <mutex>

namespace souk::database {

class Request {
public:
    explicit Request(std::shared_ptr<base::Signal> signal, Deadline deadline)
        : deadline(deadline), signal_(std::move(signal)) {}
    virtual ~Request() = default;

    /// Driver: runs `work` unless nobody waits any more. The coroutine cannot go away meanwhile.
    template <class Work>
    bool serve(Work&& work) {
        std::lock_guard lock(mutex_);
        if (!signal_) return false;
        begun_ = true;
        work();
        return true;
    }

    /// Driver: the result is in place, wake the coroutine.
    void answer() {
        std::lock_guard lock(mutex_);
        if (!signal_) return;
        signal_->set();
        signal_.reset();  // under the lock: its context lives as long as the coroutine does
    }

    /// Coroutine: waits no more. Tells whether the driver had begun.
    bool leave() {
        std::lock_guard lock(mutex_);
        if (signal_) abandoned();
        signal_.reset();
        return begun_;
    }

    /// Driver: whether somebody waits for the answer.
    bool attended() {
        std::lock_guard lock(mutex_);
        return signal_ != nullptr;
    }

    const Deadline deadline;
    std::exception_ptr failure;  // set before answer(), read after

protected:
    /// The coroutine leaves without an answer: lets go of what refers to its frame. Under the lock.
    virtual void abandoned() {}

private:
    std::mutex mutex_;
    std::shared_ptr<base::Signal> signal_;  // empty: nobody waits
    bool begun_ = false;
};

/// Leaves the request when the coroutine's frame ends, whatever ended it.
class Attendance {
public:
    Attendance(std::shared_ptr<Request> request, std::shared_ptr<base::Signal> signal)
        : signal_(std::move(signal)), request_(std::move(request)) {}
    ~Attendance() { request_->leave(); }
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;

    /// False when cancelled.
    Task<bool> wait() { return signal_->wait(); }

private:
    std::shared_ptr<base::Signal> signal_;
    std::shared_ptr<Request> request_;
};

/// Why a request is not even queued.
inline Error busy() {
    return unavailable("busy", "too many requests wait for the database");
}
inline Error stopping() {
    return unavailable("stopping", "the database is being closed");
}
inline Error too_late() {
    return Error(ErrorKind::timeout, "timeout", "the deadline passed before the database began");
}

}  // namespace souk::database
