#include "database/postgres/attempt.hpp"

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <stdexcept>

namespace souk::database::postgres {
namespace {

constexpr Statement begin_statement{"postgres.begin", "BEGIN ISOLATION LEVEL READ COMMITTED"};

/// The time that the server gives a statement: what is left, rounded up to few steps, so that most
/// transactions find the setting as they need it. 0: no limit.
milliseconds timeout_for(microseconds left) {
    constexpr milliseconds steps[] = {
        milliseconds(100),
        milliseconds(500),
        seconds(1),
        seconds(2),
        seconds(5),
        seconds(10),
        seconds(30),
        seconds(120)};
    for (milliseconds step : steps)
        if (left <= step) return step;
    return milliseconds(0);
}

}  // namespace

Attempt::Attempt(
    Executor home,
    Clock& clock,
    std::shared_ptr<Session> session,
    std::shared_ptr<TransactCall> call
)
    : home_(home)
    , clock_(clock)
    , session_(std::move(session))
    , call_(std::move(call))
    , ended_(base::Signal::make(home)) {}

Attempt::~Attempt() {
    discard_body();
}

void Attempt::start() {
    ++call_->runs;
    auto launch = [this](BodyRun& run) {
        auto on_end = [&run](std::exception_ptr failure, Result<void> result) {
            run.failure = failure;
            run.result = std::move(result);
            run.ended = true;
        };
        try {
            asio::co_spawn(run.context, call_->body(*this), std::move(on_end));
        } catch (...) {
            on_end(std::current_exception(), Result<void>());
        }
    };
    static_cast<void>(call_->serve([&] { call_->run = std::make_unique<BodyRun>(); }));
    step(launch);
}

Task<Attempt::End> Attempt::wait() {
    co_await ended_->wait();
    over_ = true;
    discard_body();
    co_return how_;
}

void Attempt::check() {
    if (over_) return;
    if (!call_->attended()) return end(End::left);
    if (call_->deadline.passed(clock_)) end(End::late);
}

void Attempt::end(End how) {
    if (over_) return;
    over_ = true;
    how_ = how;
    ended_->set();
}

void Attempt::discard_body() {
    call_->serve([this] { call_->run.reset(); });
}

void Attempt::step(const std::function<void(BodyRun&)>& work) {
    if (over_) return;
    bool ended = false;
    bool attended = call_->serve([&] {
        BodyRun& run = *call_->run;
        work(run);
        run.context.restart();
        run.context.poll();
        ended = settle(run);
        if (ended) call_->run.reset();
    });
    if (!attended) return end(End::left);
    if (ended) end(End::done);
}

/// True when the body has come to its end.
bool Attempt::settle(BodyRun& run) {
    if (!run.ended && run.suspended.waiting()) return false;
    result_ = std::move(run.result);
    failure_ = run.failure;
    if (!run.ended)
        failure_ = std::make_exception_ptr(
            std::logic_error("a transaction body awaited something else than its Transaction")
        );
    if (result_ && failed_) result_ = *failed_;
    return true;
}

void Attempt::begin() {
    begun_ = true;
    milliseconds timeout = timeout_for(call_->deadline.remaining(clock_));
    if (timeout != session_->statement_timeout) {
        // Before BEGIN, in a Sync of its own: it stays when the transaction is rolled back.
        std::string sql = fmt::format("SET statement_timeout = {}", timeout.count());
        Statement set{{}, sql};
        static_cast<void>(session_->send(set, {}, {}));
        session_->sync();
        session_->statement_timeout = timeout;
    }
    auto take_fault = [self = weak_from_this()](const Answer& answer) {
        auto attempt = self.lock();
        if (attempt && answer.outcome == Answer::Outcome::failed)
            attempt->failed_ = error_of(answer.complaint, begin_statement.name);
    };
    static_cast<void>(session_->send(begin_statement, {}, take_fault));
}

/// True when there are answers to wait for; else `failed_` says why not.
bool Attempt::submit(const Statement& statement, const Params* params, std::size_t count) {
    if (failed_) return false;
    if (call_->deadline.passed(clock_)) {
        failed_ = too_late();
        return false;
    }
    if (!begun_) begin();
    rows_.assign(count, Rows());
    missing_ = count;
    for (std::size_t i = 0; i < count; ++i) {
        auto take_it = [self = weak_from_this(), i, name = statement.name](Answer answer) {
            if (auto attempt = self.lock()) attempt->take(i, name, std::move(answer));
        };
        auto sent = session_->send(statement, params[i], std::move(take_it));
        if (sent) continue;
        failed_ = sent.error();
        missing_ = 0;
        return false;
    }
    session_->sync();
    session_->flush();
    return true;
}

void Attempt::take(std::size_t index, std::string_view statement, Answer answer) {
    if (over_ || missing_ == 0) return;
    using Outcome = Answer::Outcome;
    if (answer.outcome == Outcome::lost) {
        failed_ = lost_error(session_->last_words());
        return end(End::lost);
    }
    if (answer.outcome == Outcome::ok && answer.rows) {
        rows_[index] = std::move(*answer.rows);
    } else if (!failed_) {
        const Complaint& complaint = answer.complaint;
        again_ = answer.outcome == Outcome::aborted || is_worth_a_rerun(complaint) ||
                 is_read_only(complaint);
        failed_ = answer.rows ? error_of(complaint, statement) : answer.rows.error();
        if (is_read_only(complaint))
            failed_ = unavailable("read_only", "the database server takes no writes (a standby?)");
    }
    if (--missing_ > 0) return;
    if (again_) return end(End::again);
    step([](BodyRun& run) { run.suspended.resume(); });
}

Task<Result<Rows>> Attempt::execute(const Statement& statement, Params params) {
    bool sent = submit(statement, &params, 1);
    if (sent) co_await call_->run->suspended.wait();
    if (failed_) co_return *failed_;
    co_return std::move(rows_.front());
}

Task<Result<std::vector<Rows>>> Attempt::execute_all(
    const Statement& statement, std::vector<Params> params
) {
    if (params.empty()) co_return std::vector<Rows>();
    bool sent = submit(statement, params.data(), params.size());
    if (sent) co_await call_->run->suspended.wait();
    if (failed_) co_return *failed_;
    co_return std::move(rows_);
}

}  // namespace souk::database::postgres
