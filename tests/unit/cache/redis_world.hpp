// Redis as one replica has it: the connection on a thread of its own, calls from the test's.
#pragma once

#include "base/system_clock.hpp"
#include "cache/redis/redis.hpp"
#include "observe/prometheus_metrics.hpp"
#include "support/run_task.hpp"
#include "support/services.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace souk::test {

/// A thread that runs one context until the end.
class HomeThread {
public:
    HomeThread() : busy_(context_.get_executor()), thread_([this] { context_.run(); }) {}
    ~HomeThread() { end(); }
    void end() {
        busy_.reset();
        if (thread_.joinable()) thread_.join();
    }
    void stop() {
        context_.stop();
        end();
    }
    Executor executor() { return context_.get_executor(); }

private:
    asio::io_context context_;
    asio::executor_work_guard<Executor> busy_;
    std::thread thread_;
};

inline std::string unique_prefix() {
    static int count = 0;
    return fmt::format("test:{}:{}:", getpid(), ++count);
}

class RedisReplica {
public:
    static cache::RedisOptions options(std::string url, std::string prefix = unique_prefix()) {
        cache::RedisOptions options;
        options.url = std::move(url);
        options.prefix = std::move(prefix);
        options.timeout = seconds(5);  // what is late here is the machine's fault
        return options;
    }

    explicit RedisReplica(cache::RedisOptions options, Clock& clock = base::system_clock())
        : clock_(clock), opened_(open(std::move(options))) {}

    /// Throws unless it is connected.
    static std::unique_ptr<RedisReplica> connected(
        cache::RedisOptions options, Clock& clock = base::system_clock()
    ) {
        auto replica = std::make_unique<RedisReplica>(std::move(options), clock);
        if (const auto error = replica->error()) throw std::runtime_error(error->detail);
        if (!replica->redis().fault().empty()) throw std::runtime_error(replica->redis().fault());
        return replica;
    }

    std::optional<Error> error() const {
        return opened_ ? std::nullopt : std::optional<Error>(opened_.error());
    }
    cache::Redis& redis() { return **opened_; }
    Cache& cache() { return redis().cache(); }
    RateLimiter& limiter() { return redis().limiter(); }
    Clock& clock() { return clock_; }
    HomeThread& home() { return home_; }
    void close() { *opened_ = nullptr; }

    template <class T>
    T run(Task<T> task) {
        return run_task(context, std::move(task));
    }
    void run(Task<void> task) { run_task(context, std::move(task)); }
    std::optional<std::string> get(std::string_view key) { return run(cache().get(key)); }
    void put(std::string_view key, std::string value, milliseconds ttl = seconds(60)) {
        run(cache().put(key, std::move(value), ttl));
    }
    void erase(std::string_view key) { run(cache().erase(key)); }
    RateDecision take(std::string_view key, std::int64_t limit, seconds window) {
        return run(limiter().take(key, limit, window));
    }

    /// The value in the line of the Prometheus text that begins with `name`; 0 without one.
    double metric(std::string_view name) const {
        std::istringstream lines(metrics_->expose());
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ')
                return std::stod(line.substr(name.size() + 1));
        return 0;
    }

    /// Waits for what another thread or process does, without a claim on how long that takes.
    static void until(const std::function<bool()>& holds) {
        const auto limit = std::chrono::steady_clock::now() + seconds(60);
        while (!holds()) {
            if (std::chrono::steady_clock::now() > limit)
                throw std::runtime_error("it does not come about");
            std::this_thread::sleep_for(milliseconds(5));
        }
    }
    void until_away() {
        until([this] { return !redis().fault().empty(); });
    }
    void until_connected() {
        until([this] { return redis().fault().empty(); });
    }

    asio::io_context context;

private:
    // In this order: `opened_` is made with the others, and goes first.
    Clock& clock_;
    std::unique_ptr<Metrics> metrics_ = observe::make_metrics();
    HomeThread home_;
    Result<std::unique_ptr<cache::Redis>> opened_;

    Result<std::unique_ptr<cache::Redis>> open(cache::RedisOptions options) {
        auto task = cache::open_redis(std::move(options), home_.executor(), clock_, *metrics_);
        return run_task(context, std::move(task));
    }
};

}  // namespace souk::test
