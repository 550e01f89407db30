#include "host/process.hpp"

#include "base/signal.hpp"
#include "observe/logging.hpp"
#include "souk/log.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>
#include <thread>

namespace souk::host {
namespace {

using Guard = asio::executor_work_guard<Executor>;

/// How long tasks may linger when everything was told to stop.
constexpr seconds linger{2};

/// A context a thread; the first belongs to the thread that calls run().
class Contexts {
public:
    explicit Contexts(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            contexts_.push_back(std::make_unique<asio::io_context>(1));
            guards_.emplace_back(contexts_.back()->get_executor());
        }
    }

    std::vector<Executor> executors() {
        std::vector<Executor> out;
        for (const auto& context : contexts_)
            out.push_back(context->get_executor());
        return out;
    }

    void start() {
        for (std::size_t i = 1; i < contexts_.size(); ++i) {
            std::promise<void> ended;
            ended_.push_back(ended.get_future());
            threads_.emplace_back([context = contexts_[i].get(),
                                   ended = std::move(ended)]() mutable {
                context->run();
                ended.set_value();
            });
        }
    }

    void run_until(const bool& done) {
        while (!done)
            contexts_.front()->run_one();
    }

    /// False when a task would not end. Then its thread still runs, and nothing may be destroyed.
    bool finish() {
        guards_.clear();
        contexts_.front()->run_for(linger);
        bool all = contexts_.front()->stopped();
        for (auto& ended : ended_)
            all = ended.wait_for(linger) == std::future_status::ready && all;
        if (!all) return false;
        for (std::thread& thread : threads_)
            thread.join();
        return true;
    }

private:
    std::vector<std::unique_ptr<asio::io_context>> contexts_;
    std::vector<Guard> guards_;
    std::vector<std::thread> threads_;
    std::vector<std::future<void>> ended_;
};

/// Waits for the first SIGTERM or SIGINT, and makes the second one final.
class StopSignal {
public:
    explicit StopSignal(const Executor& executor)
        : signals_(executor, SIGTERM, SIGINT), stop_(base::Signal::make(executor)) {
        listen();
    }
    Task<bool> wait() { return stop_->wait(); }
    /// As if the signal had come.
    void set() { stop_->set(); }

private:
    void listen() {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (error) return;
            if (seen_) {
                Logger("host").warn("a second signal: ending at once");
                observe::flush_logs();
                std::_Exit(EXIT_FAILURE);
            }
            seen_ = true;
            stop_->set();
            listen();
        });
    }

    asio::basic_signal_set<Executor> signals_;
    std::shared_ptr<base::Signal> stop_;
    bool seen_ = false;
};

Task<Result<void>> serve(Host& host, const ServerHooks& hooks, StopSignal& stop) {
    auto opened = co_await host.open();
    if (!opened) co_return opened;
    if (hooks.before_listen) {
        auto seeded = co_await hooks.before_listen(host);
        if (!seeded) co_return seeded;
    }
    auto listening = co_await host.listen();
    if (!listening) co_return listening;
    if (hooks.ready) hooks.ready(host);
    co_await stop.wait();
    co_return Result<void>();
}

std::size_t thread_count(const Config& config) {
    const auto wanted = static_cast<std::size_t>(config.integer("http.threads"));
    return wanted > 0 ? wanted : std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace

Result<void> run_server(
    Config config, HostOptions options, Clock& clock, Metrics& metrics, ServerHooks hooks
) {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of a write, not our end
    Contexts contexts(thread_count(config));
    options.threads = contexts.executors();
    const Executor main = options.threads.front();
    auto stop = std::make_optional<StopSignal>(main);
    options.succeeded = [&stop] { stop->set(); };
    auto host = std::make_unique<Host>(std::move(config), std::move(options), clock, metrics);

    Result<void> outcome;
    bool done = false;
    const auto life = [&]() -> Task<void> {
        try {
            outcome = co_await serve(*host, hooks, *stop);
        } catch (const std::exception& e) {
            outcome = Error(ErrorKind::internal, "internal", e.what());
        }
        if (outcome) Logger("host").info("stopping");
        co_await host->stop();
        done = true;
    };
    contexts.start();
    spawn(main, life);
    contexts.run_until(done);
    stop.reset();
    if (!contexts.finish()) {
        Logger("host").warn("a task did not end in time; its data is safe in the databases");
        if (!outcome) Logger("host").error("failed", {{"why", outcome.error().detail}});
        observe::flush_logs();
        std::_Exit(outcome ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    host.reset();  // before the contexts that it runs on
    return outcome;
}

void run_task(std::function<Task<void>(Executor)> task) {
    asio::io_context context(1);
    const Executor executor = context.get_executor();
    spawn(executor, [&] { return task(executor); });
    context.run();
}

}  // namespace souk::host
