#include "souk/together.hpp"

#include "base/signal.hpp"

#include <algorithm>
#include <utility>

namespace souk::detail {
namespace {

constexpr std::size_t waiting_limit = 1024;

}  // namespace

Task<Result<void>> Gathering::join(std::shared_ptr<Call> call) {
    const Executor executor = co_await this_executor();
    call->done = base::Signal::make(executor);
    bool begin = false;
    {
        std::lock_guard lock(mutex_);
        if (waiting_.size() >= waiting_limit)
            co_return unavailable("busy", "too many requests of this kind wait");
        waiting_.push_back(call);
        begin = busy_ < hands_;
        if (begin) ++busy_;
    }
    if (begin) spawn(executor_, [self = shared_from_this()] { return run(self); });
    const bool answered = co_await call->done->wait();
    if (answered) co_return Result<void>();
    // What was not begun shall not be: nobody would look after it, and it would fill the queue.
    std::lock_guard lock(mutex_);
    std::erase(waiting_, call);
    co_return unavailable("commit_unknown", "the caller left before the answer came");
}

Task<void> Gathering::rest() {
    const Executor executor = co_await this_executor();
    auto signal = base::Signal::make(executor);
    {
        std::lock_guard lock(mutex_);
        if (busy_ == 0) co_return;
        resting_.push_back(signal);
    }
    co_await signal->wait();
}

/// A hand: one batch after another until nobody waits.
Task<void> Gathering::run(std::shared_ptr<Gathering> self) {
    for (;;) {
        const Calls calls = self->take();
        if (calls.empty()) co_return;
        co_await self->work_(calls);
        for (const auto& call : calls)
            call->done->set();
    }
}

/// Empty: the hand rests.
Gathering::Calls Gathering::take() {
    std::lock_guard lock(mutex_);
    const std::size_t count = std::min(most_, waiting_.size());
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    Calls calls(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    if (!calls.empty() || --busy_ > 0) return calls;
    for (const auto& signal : std::exchange(resting_, {}))
        signal->set();
    return calls;
}

Error error_of(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
        return failure.error;
    } catch (const std::exception& e) {
        return Error(ErrorKind::internal, "internal", e.what());
    } catch (...) {
        return Error(ErrorKind::internal, "internal", "unknown exception");
    }
}

}  // namespace souk::detail

namespace souk {

bool concerns_all(const Error& error) {
    // Rows that others hold are of those who want them, and this was rolled back.
    const bool in_the_way = error.code == "lock_timeout" || error.code == "serialization";
    return error.kind == ErrorKind::unavailable && !in_the_way;
}

}  // namespace souk
