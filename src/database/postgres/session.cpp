#include "database/postgres/session.hpp"

#include "database/postgres/lexer.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fmt/format.h>
#include <libpq-fe.h>

namespace souk::database::postgres {
namespace {

struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, Clear>;

Error parameters_error(const Statement& statement, std::string_view why) {
    return Error(ErrorKind::internal, "sql_parameters", fmt::format("{}: {}", statement.name, why));
}

Answer answer_of(Answer::Outcome outcome) {
    Answer answer;
    answer.outcome = outcome;
    return answer;
}

}  // namespace

Session::Session(Executor home, Clock& clock) : home_(home), clock_(clock) {}

Session::~Session() {
    if (pg_ != nullptr) PQfinish(pg_);
}

int Session::server_version() const {
    return pg_ == nullptr ? 0 : PQserverVersion(pg_);
}

Result<std::string> Session::prepare(
    const Statement& statement, const Arguments& arguments, const Params& params
) {
    if (const Plan* plan = plans_.find(statement, arguments.types(), params)) {
        if (plan->parameters == params.size()) return plan->name;
        return parameters_error(
            statement, fmt::format("{} parameters for {}", params.size(), plan->parameters)
        );
    }
    const std::size_t wanted = highest_parameter(sql_of(statement));
    if (wanted != params.size())
        return parameters_error(
            statement, fmt::format("{} parameters for {}", params.size(), wanted)
        );
    if (!plans_.takes(statement)) return std::string();
    const Plan& plan = plans_.add(statement, arguments.types(), wanted);
    if (PQsendPrepare(
            pg_, plan.name.c_str(), plan.sql.c_str(), arguments.count(), plan.types.data()
        ) == 0) {
        lose_later();
        return lost_error(PQerrorMessage(pg_));
    }
    expect(Kind::prepare, plan.name, OnAnswer());
    return plan.name;
}

void Session::expect(Kind kind, std::string name, OnAnswer done) {
    if (pending_.empty()) heard_at_ = clock_.steady();
    pending_.emplace_back(kind, std::move(name), std::move(done));
}

microseconds Session::silence() const {
    if (!usable() || pending_.empty()) return microseconds(0);
    return std::chrono::duration_cast<microseconds>(clock_.steady() - heard_at_);
}

Result<void> Session::send(const Statement& statement, const Params& params, OnAnswer done) {
    if (!usable()) return lost_error(last_words_);
    Arguments arguments(params);
    if (!arguments.all_texts()) return text_error();
    auto plan = prepare(statement, arguments, params);
    if (!plan) return plan.error();
    int sent = 0;
    if (plan->empty()) {
        std::string sql(sql_of(statement));
        sent = PQsendQueryParams(
            pg_,
            sql.c_str(),
            arguments.count(),
            arguments.types().data(),
            arguments.values(),
            nullptr,
            nullptr,
            0
        );
    } else {
        sent = PQsendQueryPrepared(
            pg_, plan->c_str(), arguments.count(), arguments.values(), nullptr, nullptr, 0
        );
    }
    if (sent == 0) {
        lose_later();
        return lost_error(PQerrorMessage(pg_));
    }
    std::string name = plan->empty() ? std::string(statement.name) : std::move(*plan);
    expect(Kind::statement, std::move(name), std::move(done));
    return {};
}

void Session::sync(OnAnswer done) {
    if (usable() && PQpipelineSync(pg_) == 1)
        expect(Kind::sync, std::string(), std::move(done));
    else if (done)
        asio::post(home_, [done = std::move(done)] { done(answer_of(Answer::Outcome::lost)); });
}

void Session::flush() {
    if (!usable()) return;
    int left = PQflush(pg_);
    if (left < 0) return lose_later();
    if (left == 0 || writing_) return;
    writing_ = true;
    auto self = shared_from_this();
    spawn(home_, [self] { return write_loop(self); });
}

Task<Answer> Session::ask(const Statement& statement) {
    struct Waiting {
        std::shared_ptr<base::Signal> signal;
        Answer answer;
    };
    auto waiting = std::make_shared<Waiting>();
    waiting->signal = base::Signal::make(home_);
    auto keep = [waiting](Answer answer) { waiting->answer = std::move(answer); };
    auto sent = send(statement, {}, keep);
    if (!sent) {
        waiting->answer.sent = false;
        co_return std::move(waiting->answer);
    }
    auto wake = [waiting](const Answer&) { waiting->signal->set(); };
    sync(wake);
    flush();
    co_await waiting->signal->wait();
    co_return std::move(waiting->answer);
}

Task<void> Session::read_loop(std::shared_ptr<Session> self) {
    while (self->usable()) {
        boost::system::error_code error;
        auto token = asio::redirect_error(use_task, error);
        co_await self->socket_->async_wait(Descriptor::wait_read, token);
        if (!self->usable()) co_return;
        bool read = PQconsumeInput(self->pg_) == 1;
        // Unasked it says farewell; the end behind that must be seen before a COMMIT is sent.
        if (read && self->pending_.empty()) read = PQconsumeInput(self->pg_) == 1;
        const std::string why = read ? "" : PQerrorMessage(self->pg_);
        if (read) self->heard_at_ = self->clock_.steady();
        if (read) self->flush();  // libpq asks for it after each read
        self->take_results();     // of a broken connection too: the server's last words
        if (self->usable() && !read) self->lose(why);
    }
}

Task<void> Session::write_loop(std::shared_ptr<Session> self) {
    while (self->usable()) {
        boost::system::error_code error;
        auto token = asio::redirect_error(use_task, error);
        co_await self->socket_->async_wait(Descriptor::wait_write, token);
        if (!self->usable()) co_return;
        const int left = PQflush(self->pg_);
        if (left < 0) co_return self->lose_later();
        if (left > 0) continue;
        self->writing_ = false;
        co_return;
    }
}

void Session::take_results() {
    int ends = 0;  // of one statement's results; a further one means that libpq has no more
    while (usable() && !pending_.empty() && ends < 2 && PQisBusy(pg_) == 0) {
        ResultHandle result(PQgetResult(pg_));
        if (!result) {
            ++ends;
            continue;
        }
        ends = 0;
        const auto status = PQresultStatus(result.get());
        if (status == PGRES_FATAL_ERROR) {
            take_error(Complaint(result.get()));
            continue;
        }
        Pending pending = std::move(pending_.front());
        pending_.pop_front();
        if (status == PGRES_PIPELINE_ABORTED) {
            answer(pending, answer_of(Answer::Outcome::aborted));
            continue;
        }
        Answer good = answer_of(Answer::Outcome::ok);
        if (pending.kind == Kind::sync && failed_sync_) {
            good.outcome = Answer::Outcome::failed;
            good.complaint = std::move(*failed_sync_);
            failed_sync_.reset();
        }
        if (pending.kind == Kind::statement) {
            good.rows = rows_of(result.get(), pending.name);
            good.tag = PQcmdStatus(result.get());
        }
        answer(pending, std::move(good));
    }
}

void Session::take_error(Complaint complaint) {
    if (complaint.fatal) return lose(complaint.message);
    if (pending_.front().kind == Kind::sync) {  // its commit failed; itself it is still to come
        failed_sync_ = std::move(complaint);
        return;
    }
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    if (pending.kind == Kind::prepare) {
        plans_.forget(pending.name);
        failed_prepare_ = std::move(complaint);
        prepare_failed_ = true;
        return;
    }
    Answer bad = answer_of(Answer::Outcome::failed);
    if (is_stale_plan(complaint)) {
        plans_.forget(pending.name);
        bad.outcome = Answer::Outcome::aborted;
    }
    bad.complaint = std::move(complaint);
    answer(pending, std::move(bad));
}

void Session::answer(Pending& pending, Answer answer) {
    if (pending.kind == Kind::prepare) {
        if (answer.outcome != Answer::Outcome::ok) plans_.forget(pending.name);
        return;
    }
    if (pending.kind == Kind::statement && std::exchange(prepare_failed_, false)) {
        answer.outcome = Answer::Outcome::failed;
        answer.complaint = std::move(failed_prepare_);
    }
    if (pending.done) pending.done(std::move(answer));
}

void Session::lose(std::string why) {
    // What the server said before it hung up tells more than that it did.
    if (last_words_.empty()) last_words_ = std::move(why);
    auto work = std::exchange(when_lost_, nullptr);
    close();
    if (work) work();
}

/// For callers that hold locks which the answers take.
void Session::lose_later() {
    std::string why = PQerrorMessage(pg_);
    auto work = [self = shared_from_this(), why = std::move(why)] {
        if (self->usable()) self->lose(why);
    };
    asio::post(home_, std::move(work));
}

void Session::close() {
    if (closed_) return;
    closed_ = true;
    when_lost_ = nullptr;
    socket_.reset();
    if (resolving_) resolving_->set();
    auto self = weak_from_this().lock();
    if (open_) finish();
    auto lost = std::exchange(pending_, {});
    for (Pending& pending : lost)
        if (pending.kind != Kind::prepare && pending.done)
            pending.done(answer_of(Answer::Outcome::lost));
}

void Session::finish() {
    PQfinish(pg_);
    pg_ = nullptr;
}

}  // namespace souk::database::postgres
