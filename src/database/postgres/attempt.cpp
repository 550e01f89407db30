#include "database/postgres/attempt.hpp"

#include "souk/failpoint.hpp"

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace souk::database::postgres {
namespace {

constexpr Statement begin_statement{"postgres.begin", "BEGIN"};
constexpr Statement commit_statement{"postgres.commit", "COMMIT"};

// How long a COMMIT may take beyond the deadline, before the connection is given up.
constexpr auto commit_limit = seconds(1);

/// The columns of `rows`, an array each.
Params columns_of(const std::vector<Params>& rows) {
    Params columns;
    std::vector<Value> column;
    for (std::size_t i = 0; i < rows.front().size(); ++i) {
        column.clear();
        for (const Params& row : rows)
            column.push_back(row.at(i));
        columns.emplace_back(array_text(column));
    }
    return columns;
}

/// The time that the server gives a statement: what is left, rounded up to few steps, so that most
/// transactions find the setting as they need it. 0: no limit.
milliseconds timeout_for(microseconds left) {
    constexpr milliseconds steps[] = {
        milliseconds(100), milliseconds(500), seconds(1), seconds(2), seconds(30), seconds(120)};
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
    , ended_(base::Signal::make(home))
    , decided_(base::Signal::make(home)) {}

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

bool Attempt::check() {
    if (commit_ == Commit::under_way) return clock_.steady() < commit_until_;
    if (over_) return true;
    if (!call_->attended())
        end(End::left);
    else if (call_->deadline.passed(clock_))
        end(End::late);
    return true;
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

void Attempt::set_timeout() {
    if (begun_) return;
    milliseconds timeout = timeout_for(call_->deadline.remaining(clock_));
    if (timeout != session_->statement_timeout) {
        // Before BEGIN, in a Sync of its own: it stays when the transaction is rolled back.
        std::string sql = fmt::format("SET statement_timeout = {}", timeout.count());
        Statement set{{}, sql};
        static_cast<void>(session_->send(set, {}, {}));
        session_->sync();
        session_->statement_timeout = timeout;
    }
}

void Attempt::begin() {
    set_timeout();
    begun_ = true;
    auto take_fault = [self = weak_from_this()](const Answer& answer) {
        auto attempt = self.lock();
        if (attempt && answer.outcome == Answer::Outcome::failed)
            attempt->failed_ = error_of(answer.complaint, begin_statement.name);
    };
    static_cast<void>(session_->send(begin_statement, {}, take_fault));
}

/// Whether a statement may be sent; else `failed_` says why not.
bool Attempt::ready() {
    if (failed_) return false;
    if (commit_ != Commit::none)
        throw std::logic_error("a transaction body goes on after its last statement");
    if (!call_->deadline.passed(clock_)) return true;
    failed_ = too_late();
    return false;
}

bool Attempt::send(const Statement& statement, const Params& params, Session::OnAnswer done) {
    auto sent = session_->send(statement, params, std::move(done));
    if (!sent) failed_ = sent.error();
    return sent.has_value();
}

/// True when there are answers to wait for; else `failed_` says why not.
bool Attempt::submit(const Statement& statement, const Params* params, std::size_t count) {
    if (!ready()) return false;
    if (!begun_) begin();
    rows_.assign(count, Rows());
    missing_ = count;
    for (std::size_t i = 0; i < count; ++i) {
        auto take_it = [self = weak_from_this(), i, name = statement.name](Answer answer) {
            if (auto attempt = self.lock()) attempt->take(i, name, std::move(answer));
        };
        if (send(statement, params[i], std::move(take_it))) continue;
        missing_ = 0;
        return false;
    }
    session_->sync();
    session_->flush();
    return true;
}

/// The first error counts: it aborted what came after it.
void Attempt::note(std::string_view statement, Answer answer) {
    if (failed_) return;
    const Complaint& complaint = answer.complaint;
    again_ = answer.outcome == Answer::Outcome::aborted || is_worth_a_rerun(complaint) ||
             is_read_only(complaint);
    failed_ = answer.rows ? error_of(complaint, statement) : answer.rows.error();
    if (is_read_only(complaint))
        failed_ = unavailable("read_only", "the database server takes no writes (a standby?)");
}

void Attempt::take(std::size_t index, std::string_view statement, Answer answer) {
    if (over_ || missing_ == 0) return;
    using Outcome = Answer::Outcome;
    if (answer.outcome == Outcome::lost) {
        failed_ = lost_error(session_->last_words());
        return end(End::lost);
    }
    if (answer.outcome == Outcome::ok && answer.rows)
        rows_[index] = std::move(*answer.rows);
    else
        note(statement, std::move(answer));
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

Task<Result<Rows>> Attempt::execute_set(const Statement& statement, std::vector<Params> rows) {
    if (rows.empty()) co_return Rows();
    const Params columns = columns_of(rows);
    bool sent = submit(statement, &columns, 1);
    if (sent) co_await call_->run->suspended.wait();
    if (failed_) co_return *failed_;
    co_return std::move(rows_.front());
}

Task<Result<void>> Attempt::execute_later(const Statement& statement, Params row) {
    if (!ready()) co_return *failed_;
    auto same = [&](const Later& later) { return later.statement.name == statement.name; };
    auto found = std::find_if(later_.begin(), later_.end(), same);
    if (found == later_.end()) found = later_.emplace(later_.end(), statement);
    found->rows.push_back(std::move(row));
    co_return Result<void>();
}

Task<Result<Rows>> Attempt::execute_last(const Statement& statement, Params params) {
    bool sent = send_last(statement, params);
    if (sent) co_await call_->run->suspended.wait();
    if (failed_) co_return *failed_;
    co_return std::move(rows_.front());
}

bool Attempt::send_last(const Statement& statement, const Params& params) {
    if (!ready()) return false;
    if (failpoint::hit("postgres.before_commit")) {
        break_off("armed failpoint postgres.before_commit");
        return false;
    }
    rows_.assign(1, Rows());
    auto take_it = [self = weak_from_this(), name = statement.name](Answer answer) {
        auto attempt = self.lock();
        if (!attempt) return;
        if (answer.outcome == Answer::Outcome::ok && answer.rows)
            attempt->rows_.front() = std::move(*answer.rows);
        else
            attempt->note(name, std::move(answer));
    };
    set_timeout();
    if (!send_later() || !send(statement, params, std::move(take_it))) {
        begun_ = true;  // what was sent must not be committed by the next Sync
        return false;
    }
    last_waiting_ = true;
    send_commit();
    return true;
}

bool Attempt::send_later() {
    for (const Later& later : later_) {
        auto take_it = [self = weak_from_this(), name = later.statement.name](Answer answer) {
            auto attempt = self.lock();
            const bool good = answer.outcome == Answer::Outcome::ok && answer.rows;
            if (attempt && !good) attempt->note(name, std::move(answer));
        };
        if (!send(later.statement, columns_of(later.rows), std::move(take_it))) return false;
    }
    later_.clear();
    return true;
}

void Attempt::send_commit() {
    commit_ = Commit::under_way;
    commit_until_ = SteadyTime::max();
    if (call_->deadline.at() != SteadyTime::max())
        commit_until_ = std::max(call_->deadline.at(), clock_.steady()) + commit_limit;
    if (begun_) {
        auto take_tag = [self = weak_from_this()](Answer answer) {
            auto attempt = self.lock();
            if (!attempt) return;
            attempt->commit_tag_ = answer.tag;
            if (answer.outcome != Answer::Outcome::ok)
                attempt->note(commit_statement.name, std::move(answer));
        };
        if (!send(commit_statement, {}, std::move(take_tag))) return not_sent();
    }
    session_->sync([self = weak_from_this()](const Answer& answer) {
        if (auto attempt = self.lock()) attempt->take_commit(answer);
    });
    session_->flush();
}

/// Outside of BEGIN the transaction is committed by the Sync, so that its answer counts.
void Attempt::take_commit(const Answer& sync) {
    using Outcome = Answer::Outcome;
    if (sync.outcome == Outcome::lost) {
        commit_ = Commit::unknown;
        failed_ = lost_error(session_->last_words());
    } else {
        if (sync.outcome == Outcome::failed) note(commit_statement.name, sync);
        if (!failed_ && begun_ && commit_tag_ != "COMMIT")
            failed_ = Error(ErrorKind::internal, "sql_error", "COMMIT: " + commit_tag_);
        commit_ = failed_ ? Commit::refused : Commit::done;
    }
    decided_->set();
    if (!last_waiting_) return;
    if (commit_ == Commit::unknown) return end(End::lost);
    if (again_) return end(End::again);
    step([](BodyRun& run) { run.suspended.resume(); });
}

void Attempt::break_off(std::string why) {
    commit_ = Commit::unknown;
    failed_ = unavailable("failpoint", std::move(why));
}

/// The connection was lost after the body's last answer: nothing happened.
void Attempt::not_sent() {
    commit_ = Commit::refused;
    again_ = true;
    decided_->set();
    if (last_waiting_) end(End::again);
}

Task<void> Attempt::finish() {
    if (!session_->usable()) {
        failed_ = lost_error(session_->last_words());
        co_return not_sent();
    }
    set_timeout();
    if (!send_later()) {
        begun_ = true;
        commit_ = Commit::refused;
        co_return;
    }
    send_commit();
    co_await decided_->wait();
}

}  // namespace souk::database::postgres
