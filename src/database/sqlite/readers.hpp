// Threads that serve query(), each with a `query_only` connection that never checkpoints. A thread
// takes the queries that wait, up to 64, into one read transaction: that saves most of a point
// read's cost, and a query still sees every commit that was answered before it was asked, since the
// snapshot is taken after the query was queued.
#pragma once

#include "database/request.hpp"
#include "database/sqlite/connection.hpp"

#include <condition_variable>
#include <deque>
#include <thread>

namespace souk::database {

class QueryRequest : public Request {
public:
    QueryRequest(
        std::shared_ptr<base::Signal> signal,
        const Statement& statement,
        Params params,
        Deadline deadline
    )
        : Request(std::move(signal), deadline), statement(statement), params(std::move(params)) {}
    const Statement statement;
    const Params params;
    Result<Rows> result;
};

class Readers {
public:
    Readers(
        std::vector<std::unique_ptr<Connection>> connections,
        std::size_t queue_limit,
        const Clock& clock
    );
    /// Ends what is being read; what waits is answered `unavailable`.
    ~Readers();

    /// Errors: `unavailable` "busy", "stopping".
    Result<void> enqueue(std::shared_ptr<QueryRequest> request);
    /// Ends as the destructor does and closes the connections.
    void stop();

private:
    using Batch = std::vector<std::shared_ptr<QueryRequest>>;

    void loop(Connection& connection);
    Batch take();
    void read(Connection& connection, QueryRequest& request);

    const std::size_t queue_limit_;
    const Clock& clock_;
    std::vector<std::unique_ptr<Connection>> connections_;

    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<std::shared_ptr<QueryRequest>> waiting_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace souk::database
