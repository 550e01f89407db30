#include "database/sqlite/writer.hpp"

#include "souk/failpoint.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>
#include <pthread.h>

#include <stdexcept>

namespace souk::database {
namespace {

constexpr Statement begin_immediate{"sqlite.begin", "BEGIN IMMEDIATE"};
constexpr Statement commit_all{"sqlite.commit", "COMMIT"};
constexpr Statement rollback_all{"sqlite.rollback", "ROLLBACK"};
constexpr Statement savepoint{"sqlite.savepoint", "SAVEPOINT body"};
constexpr Statement release{"sqlite.release", "RELEASE body"};
constexpr Statement rollback_to{"sqlite.rollback_to", "ROLLBACK TO body"};

// Neighbours wait for the whole batch: it ends when it has become large or slow.
constexpr std::size_t bytes_per_commit = 4 << 20;
constexpr milliseconds time_per_commit{50};
// A checkpoint when the log has 4 MB; when readers have kept it from starting over for long, one
// that waits for them.
constexpr int checkpoint_pages = 1000;
constexpr int restart_pages = 16'000;

std::size_t bytes_of(const Params& params) {
    std::size_t bytes = 0;
    for (const Value& value : params)
        if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    return bytes;
}

/// The view of one body. After an error it answers only that error, as PostgreSQL does, so that a
/// body that swallows one cannot commit half of its work here and none there.
class SqliteTransaction final : public Transaction {
public:
    SqliteTransaction(Connection& connection, const Clock& clock, Deadline deadline)
        : connection_(connection), clock_(clock), deadline_(deadline) {}

    Task<Result<Rows>> execute(const Statement& statement, Params params) override {
        co_return run(statement, params);
    }

    Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) override {
        co_return run_all(statement, params);
    }

    void close(Error error) { failed_ = std::move(error); }
    const std::optional<Error>& failed() const { return failed_; }
    std::size_t bytes() const { return bytes_; }
    std::vector<std::function<void()>> take_hooks() { return std::move(after_commit_); }

private:
    Result<Rows> run(const Statement& statement, const Params& params) {
        if (failed_) return *failed_;
        if (deadline_.passed(clock_)) failed_ = too_late();
        if (failed_) return *failed_;
        bytes_ += bytes_of(params);
        auto rows = connection_.execute(statement, params);
        if (!rows) failed_ = rows.error();
        return rows;
    }

    Result<std::vector<Rows>> run_all(
        const Statement& statement, const std::vector<Params>& params
    ) {
        std::vector<Rows> all;
        all.reserve(params.size());
        for (const Params& one : params) {
            auto rows = run(statement, one);
            if (!rows) return rows.error();
            all.push_back(std::move(*rows));
        }
        return all;
    }

    Connection& connection_;
    const Clock& clock_;
    const Deadline deadline_;
    std::optional<Error> failed_;
    std::size_t bytes_ = 0;
};

Error commit_unknown(const Error& cause) {
    return unavailable(
        "commit_unknown", fmt::format("COMMIT failed, it may have happened: {}", cause.detail)
    );
}

}  // namespace

Writer::Writer(std::unique_ptr<Connection> connection, WriterOptions options, const Clock& clock)
    : connection_(std::move(connection))
    , options_(std::move(options))
    , clock_(clock)
    , context_(std::make_unique<asio::io_context>(1))
    , thread_([this] { loop(); }) {
    pthread_setname_np(thread_.native_handle(), "sqlite-writer");
}

Writer::~Writer() {
    stop();
}

void Writer::stop() {
    std::deque<std::shared_ptr<TransactRequest>> abandoned;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        abandoned.swap(waiting_);
        ready_.notify_all();
    }
    for (auto& request : abandoned) {
        request->result = stopping();
        request->answer();
    }
    if (thread_.joinable()) thread_.join();
}

Result<void> Writer::enqueue(std::shared_ptr<TransactRequest> request) {
    std::lock_guard lock(mutex_);
    if (stopping_) return stopping();
    if (waiting_.size() >= options_.queue_limit) return busy();
    waiting_.push_back(std::move(request));
    ready_.notify_one();
    return {};
}

std::shared_ptr<TransactRequest> Writer::take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) ready_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return nullptr;
    auto request = std::move(waiting_.front());
    waiting_.pop_front();
    return request;
}

void Writer::loop() {
    while (auto first = take(true))
        commit_batch(std::move(first));
}

void Writer::commit_batch(std::shared_ptr<TransactRequest> first) {
    Batch batch;
    if (auto begun = connection_->control(begin_immediate); !begun) {
        batch.push_back(std::move(first));
        return fail_all(batch, begun.error());
    }
    if (!collect(std::move(first), batch)) return;
    if (auto committed = commit(); !committed) return fail_all(batch, committed.error());
    if (options_.committed) options_.committed(batch.size());
    for (auto& request : batch) {
        if (request->result && !request->failure)
            for (const auto& hook : request->after_commit)
                hook();
        request->answer();
    }
    batch.clear();
    tidy_log();
}

/// False when SQLite has rolled back the whole transaction; then all are answered.
bool Writer::collect(std::shared_ptr<TransactRequest> first, Batch& batch) {
    batch_bytes_ = 0;
    SteadyTime end = clock_.steady() + time_per_commit;
    for (auto next = std::move(first); next != nullptr; next = take(false)) {
        run_request(*next);
        batch.push_back(std::move(next));
        if (!connection_->in_transaction()) {
            const auto& last = batch.back()->result;
            Error error = last ? unavailable("database", "the transaction was lost") : last.error();
            fail_all(batch, error);
            return false;
        }
        bool full = batch.size() >= options_.transactions_per_commit;
        if (full || batch_bytes_ >= bytes_per_commit || clock_.steady() >= end) break;
    }
    return true;
}

void Writer::run_request(TransactRequest& request) {
    if (request.deadline.passed(clock_)) {
        request.result = too_late();
        return;
    }
    request.serve([&] {
        try {
            request.result = run_in_savepoint(request);
        } catch (...) {
            request.failure = std::current_exception();
        }
        request.body = nullptr;  // what it captured ends here, while the coroutine stands still
    });
}

Result<void> Writer::run_in_savepoint(TransactRequest& request) {
    if (auto set = connection_->control(savepoint); !set) return set.error();
    Result<void> result;
    std::exception_ptr failure;
    try {
        result = run_body(request);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!connection_->in_transaction()) {  // the disk was full: the savepoint is gone as well
        if (failure) std::rethrow_exception(failure);
        return result;
    }
    if (result && !failure && connection_->has_deferred_violations())
        result = conflict("foreign_key_violation", "a deferred foreign key");
    if (!result || failure)
        if (auto undone = connection_->control(rollback_to); !undone) return undone.error();
    if (auto released = connection_->control(release); !released) return released.error();
    if (failure) std::rethrow_exception(failure);
    return result;
}

Result<void> Writer::run_body(TransactRequest& request) {
    SqliteTransaction transaction(*connection_, clock_, request.deadline);
    Result<void> result;
    std::exception_ptr failure;
    bool ended = false;
    asio::cancellation_signal cancel;
    auto on_end = [&](std::exception_ptr error, Result<void> answer) {
        failure = error;
        result = std::move(answer);
        ended = true;
    };
    auto token = asio::bind_cancellation_slot(cancel.slot(), std::move(on_end));
    asio::co_spawn(*context_, request.body(transaction), std::move(token));
    context_->restart();
    context_->poll();
    batch_bytes_ += transaction.bytes();
    if (!ended) {
        // The statements of a Transaction complete at once, so the body waits for something else:
        // letting it would stop every other transaction of this file.
        transaction.close(Error(ErrorKind::internal, "foreign_await", "the body was ended"));
        cancel.emit(asio::cancellation_type::terminal);
        context_->poll();
        // What ignores its cancellation goes down with the context.
        if (!ended) context_ = std::make_unique<asio::io_context>(1);
        throw std::logic_error("a transaction body awaited something else than its Transaction");
    }
    if (failure) std::rethrow_exception(failure);
    if (result && transaction.failed()) return *transaction.failed();
    if (result) request.after_commit = transaction.take_hooks();
    return result;
}

Result<void> Writer::commit() {
    if (failpoint::hit("sqlite.before_commit")) {
        static_cast<void>(connection_->control(rollback_all));
        return commit_unknown(unavailable("failpoint", "armed failpoint sqlite.before_commit"));
    }
    if (auto committed = connection_->control(commit_all); !committed) {
        if (connection_->in_transaction()) static_cast<void>(connection_->control(rollback_all));
        return commit_unknown(committed.error());
    }
    if (failpoint::hit("sqlite.after_commit"))
        return commit_unknown(unavailable("failpoint", "armed failpoint sqlite.after_commit"));
    return {};
}

void Writer::tidy_log() {
    if (connection_->wal_pages() < checkpoint_pages) return;
    connection_->checkpoint(connection_->wal_pages() >= restart_pages);
}

/// Errors of bodies are replaced too: they may rest on a neighbour's rows that are gone now.
void Writer::fail_all(const Batch& batch, const Error& error) {
    for (const auto& request : batch) {
        request->result = error;
        request->answer();
    }
}

}  // namespace souk::database
