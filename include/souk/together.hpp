// What many coroutines ask for, one thing each, done together: what comes while a batch is under
// way makes up the next one, so that one transaction serves many requests (group commit over
// requests). Nobody waits for company: what finds a free hand is begun at once, and it is the load
// that makes batches grow.
#pragma once

#include "souk/async.hpp"
#include "souk/error.hpp"

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace souk {

namespace base {
class Signal;
}

namespace detail {

/// The part that is the same for all.
class Gathering : public std::enable_shared_from_this<Gathering> {
public:
    struct Call {
        virtual ~Call() = default;
        std::shared_ptr<base::Signal> done;
    };
    using Calls = std::vector<std::shared_ptr<Call>>;
    /// Answers them all; throws nothing.
    using Work = std::function<Task<void>(const Calls&)>;
    Gathering(Executor executor, std::size_t hands, std::size_t most, Work work)
        : executor_(executor), hands_(hands), most_(most), work_(std::move(work)) {}

    /// Until the call is answered. Errors: `unavailable` "busy", and "commit_unknown" when the
    /// caller was cancelled meanwhile. Whoever leaves before the call was begun takes it along.
    Task<Result<void>> join(std::shared_ptr<Call> call);
    /// Until nothing is under way.
    Task<void> rest();

private:
    static Task<void> run(std::shared_ptr<Gathering> self);
    Calls take();

    const Executor executor_;
    const std::size_t hands_;
    const std::size_t most_;
    const Work work_;
    std::mutex mutex_;
    std::deque<std::shared_ptr<Call>> waiting_;
    std::size_t busy_ = 0;
    std::vector<std::shared_ptr<base::Signal>> resting_;
};

Error error_of(std::exception_ptr thrown);

}  // namespace detail

/// Whether a transaction of many failed for a reason that is none of theirs: each would meet it
/// alone, too, or what they asked for may have happened. Else each is to be tried alone.
bool concerns_all(const Error& error);

template <class Request, class Answer>
class Together {
public:
    using Requests = std::vector<Request>;
    using Answers = std::vector<Result<Answer>>;
    /// An answer for each request, in their order. Runs on the executor, and may outlast a caller
    /// who was cancelled: requests own what they need.
    using Work = std::function<Task<Answers>(Requests)>;

    /// At most `hands` batches at a time, of `most` requests each.
    Together(Executor executor, std::size_t hands, std::size_t most, Work work)
        : gathering_(std::make_shared<detail::Gathering>(
              executor,
              hands,
              most,
              [work = std::move(work)](const detail::Gathering::Calls& calls) {
                  return answer(work, calls);
              }
          )) {}

    /// From any thread. What the work throws is rethrown to all of its batch. Errors: those of the
    /// work; `unavailable` "busy" when too many wait (nothing happened), "commit_unknown" when the
    /// caller is cancelled.
    Task<Result<Answer>> call(Request request) const {
        auto call = std::make_shared<Call>(std::move(request));
        const std::shared_ptr<detail::Gathering> gathering = gathering_;
        Result<void> answered = co_await gathering->join(call);
        if (!answered) co_return answered.error();
        if (call->thrown) std::rethrow_exception(call->thrown);
        co_return std::move(*call->answer);
    }

    /// When nobody calls any more: until all is answered, also what callers asked for who have
    /// left. Before what the work uses goes away.
    Task<void> rest() const {
        const std::shared_ptr<detail::Gathering> gathering = gathering_;
        co_await gathering->rest();
    }

private:
    struct Call final : detail::Gathering::Call {
        explicit Call(Request request) : request(std::move(request)) {}
        Request request;
        std::optional<Result<Answer>> answer;  // or
        std::exception_ptr thrown;
    };

    static Task<void> answer(Work work, detail::Gathering::Calls calls) {
        Requests requests;
        requests.reserve(calls.size());
        for (const auto& call : calls)
            requests.push_back(std::move(static_cast<Call&>(*call).request));
        try {
            Answers answers = co_await work(std::move(requests));
            for (std::size_t i = 0; i < calls.size(); ++i)
                static_cast<Call&>(*calls[i]).answer.emplace(std::move(answers.at(i)));
        } catch (...) {
            for (const auto& call : calls)
                static_cast<Call&>(*call).thrown = std::current_exception();
        }
    }

    std::shared_ptr<detail::Gathering> gathering_;
};

}  // namespace souk
