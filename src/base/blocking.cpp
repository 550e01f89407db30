#include "souk/blocking.hpp"

#include "base/signal.hpp"

#include <boost/asio/this_coro.hpp>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace souk {
namespace {

/// One job and its coroutine. Written by the pool's thread before `signal` is set, read by the
/// coroutine after.
struct Job {
    Job(std::function<void()> work, std::shared_ptr<base::Signal> signal)
        : work(std::move(work)), signal(std::move(signal)) {}
    std::function<void()> work;
    std::shared_ptr<base::Signal> signal;
    std::exception_ptr failure;
    bool abandoned = false;
};

}  // namespace

struct BlockingPool::State {
    explicit State(std::size_t queue_limit) : queue_limit(queue_limit) {}

    bool enqueue(std::shared_ptr<Job> job) {
        std::lock_guard lock(mutex);
        // An idle thread is about to take one of those that wait.
        if (stopping || waiting.size() >= queue_limit + idle) return false;
        waiting.push_back(std::move(job));
        ready.notify_one();
        return true;
    }

    void work() {
        std::unique_lock lock(mutex);
        for (;;) {
            ++idle;
            ready.wait(lock, [&] { return stopping || !waiting.empty(); });
            --idle;
            if (stopping) return;
            std::shared_ptr<Job> job = std::move(waiting.front());
            waiting.pop_front();
            lock.unlock();
            run(*job);
            job.reset();
            lock.lock();
        }
    }

    static void run(Job& job) {
        try {
            job.work();
        } catch (...) {
            job.failure = std::current_exception();
        }
        job.work = nullptr;  // what it owns ends on this thread
        job.signal->set();
    }

    void stop() {
        std::deque<std::shared_ptr<Job>> abandoned;
        {
            std::lock_guard lock(mutex);
            stopping = true;
            abandoned.swap(waiting);
            ready.notify_all();
        }
        for (auto& job : abandoned) {
            job->abandoned = true;
            job->signal->set();
        }
        for (auto& thread : threads)
            thread.join();
    }

    const std::size_t queue_limit;
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::shared_ptr<Job>> waiting;
    std::size_t idle = 0;
    bool stopping = false;
    std::vector<std::thread> threads;
};

BlockingPool::BlockingPool(std::string_view name, std::size_t threads, std::size_t queue_limit)
    : state_(std::make_shared<State>(queue_limit)) {
    for (std::size_t i = 0; i < threads; ++i) {
        auto& thread = state_->threads.emplace_back([state = state_.get()] { state->work(); });
        std::string short_name(name.substr(0, 15));  // the kernel's limit
        pthread_setname_np(thread.native_handle(), short_name.c_str());
    }
}

BlockingPool::~BlockingPool() {
    state_->stop();
}

Task<Result<void>> BlockingPool::run(std::function<void()> job) {
    Executor executor = co_await asio::this_coro::executor;
    auto entry = std::make_shared<Job>(std::move(job), base::Signal::make(executor));
    if (!state_->enqueue(entry)) co_return unavailable("busy", "too much work is waiting");
    bool ended = co_await entry->signal->wait();
    if (!ended) co_return Error(ErrorKind::timeout, "cancelled", "the caller no longer waits");
    if (entry->abandoned) co_return unavailable("busy", "the process is stopping");
    if (entry->failure) std::rethrow_exception(entry->failure);
    co_return Result<void>();
}

}  // namespace souk
