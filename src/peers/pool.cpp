#include "peers/pool.hpp"

#include "peers/breaker.hpp"
#include "peers/directory.hpp"
#include "peers/retry_budget.hpp"
#include "peers/wire.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace souk::peers {
namespace {

constexpr milliseconds least_time{10};  // a call with less does not start
constexpr milliseconds margin{2};       // to tell the caller before its own deadline
constexpr int most_retries = 2;
constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{200};

enum class Outcome : std::uint8_t { ok, error, unavailable, timeout, breaker_open, overloaded };
constexpr std::array<std::string_view, 6> outcome_names = {
    "ok", "error", "unavailable", "timeout", "breaker_open", "overloaded"};

/// One peer's figures.
class Figures {
public:
    Figures(Metrics& metrics, std::string_view peer)
        : seconds_(metrics.histogram(
              "peer_request_seconds",
              "Calls to a peer, with their retries",
              {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
              {{"peer", peer}}
          ))
        , open_(metrics.gauge(
              "peer_breaker_open", "1 while calls to the peer are refused", {{"peer", peer}}
          )) {
        for (std::size_t i = 0; i < outcome_names.size(); ++i)
            counts_[i] = &metrics.counter(
                "peer_requests_total",
                "Calls to a peer",
                {{"peer", peer}, {"outcome", outcome_names[i]}}
            );
        open_.set(0);
    }
    void count(Outcome outcome, microseconds taken) {
        counts_[static_cast<std::size_t>(outcome)]->add();
        seconds_.observe(static_cast<double>(taken.count()) / 1e6);
    }
    void set_open(bool open) { open_.set(open ? 1 : 0); }

private:
    Histogram& seconds_;
    Gauge& open_;
    std::array<Counter*, outcome_names.size()> counts_{};
};

/// A way through the breaker, given back however the call ends.
class Passage {
public:
    Passage(Breaker& breaker, Figures& figures, SteadyTime now)
        : breaker_(breaker), figures_(figures), entry_(breaker.enter(now)) {}
    ~Passage() {
        if (!reported_) breaker_.abandoned(entry_);
    }
    Passage(const Passage&) = delete;

    bool is_refused() const { return entry_ == Breaker::Entry::refused; }
    bool is_probe() const { return entry_ == Breaker::Entry::probe; }
    void report(bool failed, SteadyTime now) {
        reported_ = true;
        if (!failed) {
            breaker_.succeeded(entry_, now);
            if (is_probe()) figures_.set_open(false);
            return;
        }
        breaker_.failed(entry_, now);
        if (breaker_.is_open()) figures_.set_open(true);
    }

private:
    Breaker& breaker_;
    Figures& figures_;
    Breaker::Entry entry_;
    bool reported_ = false;
};

class LanesPool final : public Pool {
public:
    LanesPool(
        RemoteOptions options,
        std::vector<Address> addresses,
        std::vector<Executor> threads,
        Clock& clock,
        Metrics& metrics,
        Resolver& resolver
    )
        : options_(std::move(options)), clock_(clock), figures_(metrics, options_.module) {
        auto publish = [this](const Endpoints& endpoints) { hand_out(endpoints); };
        directory_ = std::make_shared<Directory>(
            threads.front(),
            clock,
            resolver,
            std::move(addresses),
            options_.resolve_every,
            std::move(publish)
        );
        auto on_failure = [directory = directory_] { directory->ask(); };
        for (const auto& thread : threads)
            lanes_.push_back(
                std::make_shared<Lane>(thread, options_.lane, clock, options_.tls, on_failure)
            );
        directory_->start();
    }

    Task<Result<http::Response>> ask(
        std::shared_ptr<Outgoing> request, const CallContext& ctx, Judge& judge
    ) override {
        const SteadyTime began = clock_.steady();
        Outcome outcome = Outcome::timeout;
        auto result = co_await run(std::move(request), ctx, judge, outcome);
        figures_.count(outcome, clock_.steady() - began);
        co_return result;
    }

    const std::string& module() const override { return options_.module; }

    Task<void> stop() override {
        for (const auto& lane : lanes_) {
            auto stopped = lane->stop();
            co_await asio::co_spawn(lane->executor(), std::move(stopped), use_task);
        }
        auto stopped = directory_->stop();
        co_await asio::co_spawn(lanes_.front()->executor(), std::move(stopped), use_task);
    }

private:
    Task<Result<http::Response>> run(
        std::shared_ptr<Outgoing> request, const CallContext& ctx, Judge& judge, Outcome& outcome
    ) {
        Executor executor = co_await asio::this_coro::executor;
        Lane& lane = lane_of(executor);
        if (ctx.deadline.remaining(clock_) < least_time) co_return no_time();
        Passage passage(breaker_, figures_, clock_.steady());
        if (passage.is_refused()) {
            outcome = Outcome::breaker_open;
            co_return away("is not called, for it failed lately");
        }
        add_call_fields(request->headers, ctx, options_.peer_key);
        if (!http::is_clean(request->target, request->headers))
            co_return invalid("bad_request", "a peer's call has a malformed field");
        budget_.called();
        const SteadyTime deadline = ctx.deadline.at();
        std::shared_ptr<Endpoint> avoid;
        for (int retries = 0;; ++retries) {
            Attempt attempt = co_await lane.attempt(request, deadline - margin, avoid);
            const bool answered = learn(lane, attempt, judge, passage, outcome);
            if (answered) co_return std::move(attempt.response);
            if (attempt.body_fault) co_return *attempt.body_fault;
            const bool again = may_retry(*request, attempt, passage, retries);
            if (!again) co_return failure(*request, attempt);
            avoid = std::move(attempt.endpoint);
            const microseconds pause =
                lane.random_up_to(std::min(longest_pause, first_pause * (1 << retries)));
            if (deadline - clock_.steady() - pause < least_time) co_return away(attempt.why);
            const bool slept = co_await clock_.sleep(pause);
            if (!slept) co_return away(attempt.why);
        }
    }

    /// Whether it is the peer's own answer; else `attempt.why` says what happened.
    bool learn(Lane& lane, Attempt& attempt, Judge& judge, Passage& passage, Outcome& outcome) {
        Verdict verdict = Verdict::foreign;
        if (attempt.end == Attempt::End::answered) {
            verdict = judge.judge(attempt.response, attempt.why);
            attempt.blames_peer = verdict == Verdict::foreign;
        }
        if (verdict != Verdict::foreign) {
            attempt.endpoint->succeeded();
            passage.report(false, clock_.steady());
            outcome = verdict == Verdict::ok ? Outcome::ok : Outcome::error;
            return true;
        }
        if (attempt.blames_peer) {
            lane.report_failure(*attempt.endpoint);
            passage.report(true, clock_.steady());
        }
        const bool full = attempt.end == Attempt::End::refused;
        outcome = full ? Outcome::overloaded : Outcome::unavailable;
        if (attempt.body_fault) outcome = Outcome::error;
        return false;
    }

    /// After silence there is no time left; who waits for a connection had better not come back.
    bool may_retry(
        const Outgoing& request, const Attempt& attempt, const Passage& passage, int retries
    ) {
        const bool tried = attempt.endpoint != nullptr && !attempt.is_late();
        if (!tried || retries == most_retries || passage.is_probe() || breaker_.is_open())
            return false;
        if (attempt.sent && !request.repeatable) return false;
        return budget_.take(clock_.steady());
    }

    Lane& lane_of(const Executor& executor) const {
        for (const auto& lane : lanes_)
            if (lane->executor() == executor) return *lane;
        throw std::logic_error("a peer is called from a context that it was not told of");
    }

    /// On the directory's thread.
    void hand_out(const Endpoints& endpoints) {
        for (const auto& lane : lanes_)
            asio::post(lane->executor(), [lane, endpoints] { lane->set_endpoints(endpoints); });
    }

    Error failure(const Outgoing& request, const Attempt& attempt) const {
        if (!request.forwarded || !attempt.is_late()) return away(attempt.why);
        return Error(
            ErrorKind::timeout, "timeout", fmt::format("{}: {}", options_.module, attempt.why)
        );
    }

    Error away(std::string_view why) const {
        return unavailable("peer_unavailable", fmt::format("{}: {}", options_.module, why));
    }

    Error no_time() const {
        return Error(
            ErrorKind::timeout,
            "timeout",
            options_.module + ": too little time is left to call a peer"
        );
    }

    const RemoteOptions options_;
    Clock& clock_;
    Figures figures_;
    Breaker breaker_;
    RetryBudget budget_;
    std::vector<std::shared_ptr<Lane>> lanes_;
    std::shared_ptr<Directory> directory_;
};

/// Whoever was let in by a peer's edge got an answer of the peer's.
class Admitted final : public Judge {
public:
    Verdict judge(const http::Response& answer, std::string& why) override {
        if (!answer.headers.has(field::admitted)) {
            why = fmt::format("answered {}, and not as a peer", answer.status);
            return Verdict::foreign;
        }
        return answer.status < 400 ? Verdict::ok : Verdict::error;
    }
};

}  // namespace

Task<Result<http::Response>> Pool::forward(
    std::shared_ptr<Outgoing> request, const CallContext& ctx
) {
    static Admitted admitted;  // it keeps nothing
    return ask(std::move(request), ctx, admitted);
}

Result<std::unique_ptr<Pool>> Pool::make(
    RemoteOptions options,
    std::vector<Executor> threads,
    Clock& clock,
    Metrics& metrics,
    Resolver& resolver
) {
    auto addresses = parse_addresses(options.addresses);
    if (!addresses) return addresses.error();
    const bool secure = std::any_of(addresses->begin(), addresses->end(), [](const Address& one) {
        return one.tls;
    });
    if (secure && !options.tls)
        return invalid("peer_tls", options.module + ": https needs certificates");
    std::unique_ptr<Pool> made = std::make_unique<LanesPool>(
        std::move(options), std::move(*addresses), std::move(threads), clock, metrics, resolver
    );
    return made;
}

}  // namespace souk::peers
