// The thread that owns the only connection that writes. It takes the transactions that wait, runs
// their bodies one after another, each in a SAVEPOINT of one shared BEGIN IMMEDIATE ... COMMIT, and
// answers after the COMMIT. It never waits for a batch to fill: under load batches grow by
// themselves, since requests gather while the disk syncs.
#pragma once

#include "database/request.hpp"
#include "database/sqlite/connection.hpp"

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

namespace souk::database {

class TransactRequest : public Request {
public:
    TransactRequest(std::shared_ptr<base::Signal> signal, TransactionBody body, Deadline deadline)
        : Request(std::move(signal), deadline), body(std::move(body)) {}
    TransactionBody body;
    std::vector<std::function<void()>> after_commit;  // the body's wishes
    Result<void> result;
};

struct WriterOptions {
    std::size_t queue_limit;
    std::size_t transactions_per_commit;
    std::function<void(std::size_t)> committed;
};

class Writer {
public:
    Writer(std::unique_ptr<Connection> connection, WriterOptions options, const Clock& clock);
    /// Ends the transaction under way; what waits is answered `unavailable`.
    ~Writer();

    /// Errors: `unavailable` "busy", "stopping".
    Result<void> enqueue(std::shared_ptr<TransactRequest> request);
    /// Ends as the destructor does.
    void stop();

private:
    using Batch = std::vector<std::shared_ptr<TransactRequest>>;

    void loop();
    std::shared_ptr<TransactRequest> take(bool wait);
    void commit_batch(std::shared_ptr<TransactRequest> first);
    bool collect(std::shared_ptr<TransactRequest> first, Batch& batch);
    void run_request(TransactRequest& request);
    Result<void> run_in_savepoint(TransactRequest& request);
    Result<void> run_body(TransactRequest& request);
    Result<void> commit();
    void tidy_log();
    void fail_all(const Batch& batch, const Error& error);

    std::unique_ptr<Connection> connection_;
    const WriterOptions options_;
    const Clock& clock_;
    std::unique_ptr<asio::io_context> context_;  // drives bodies; only this thread's
    std::size_t batch_bytes_ = 0;                // bound as parameters since BEGIN

    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<std::shared_ptr<TransactRequest>> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace souk::database
