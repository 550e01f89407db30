#include "database/sqlite/readers.hpp"

#include <pthread.h>

namespace souk::database {
namespace {

constexpr Statement begin{"sqlite.begin", "BEGIN"};
constexpr Statement end{"sqlite.end", "COMMIT"};
constexpr std::size_t reads_per_transaction = 64;

}  // namespace

Readers::Readers(
    std::vector<std::unique_ptr<Connection>> connections,
    std::size_t queue_limit,
    const Clock& clock
)
    : queue_limit_(queue_limit), clock_(clock), connections_(std::move(connections)) {
    for (auto& connection : connections_) {
        auto& thread = threads_.emplace_back([this, &connection] { loop(*connection); });
        pthread_setname_np(thread.native_handle(), "sqlite-reader");
    }
}

Readers::~Readers() {
    stop();
}

void Readers::stop() {
    std::deque<std::shared_ptr<QueryRequest>> abandoned;
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
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
    connections_.clear();
}

Result<void> Readers::enqueue(std::shared_ptr<QueryRequest> request) {
    std::lock_guard lock(mutex_);
    if (stopping_) return stopping();
    if (waiting_.size() >= queue_limit_) return busy();
    waiting_.push_back(std::move(request));
    ready_.notify_one();
    return {};
}

Readers::Batch Readers::take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    Batch batch;
    while (!waiting_.empty() && batch.size() < reads_per_transaction) {
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    return batch;
}

void Readers::loop(Connection& connection) {
    for (Batch batch = take(); !batch.empty(); batch = take()) {
        // Without the transaction each read stands for itself: only slower.
        bool together = batch.size() > 1 && connection.control(begin).has_value();
        for (auto& request : batch) {
            read(connection, *request);
            request->answer();
            request.reset();
        }
        connection.set_deadline(clock_, Deadline::never());
        if (together && connection.in_transaction()) static_cast<void>(connection.control(end));
    }
}

void Readers::read(Connection& connection, QueryRequest& request) {
    if (request.deadline.passed(clock_)) {
        request.result = too_late();
        return;
    }
    request.serve([&] {
        try {
            connection.set_deadline(clock_, request.deadline);
            request.result = connection.execute(request.statement, request.params);
        } catch (...) {
            request.failure = std::current_exception();
        }
    });
}

}  // namespace souk::database
