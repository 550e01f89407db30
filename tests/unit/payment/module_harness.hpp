// One module on a database of its own with a clock that the test owns. It can be stopped or killed
// and started again over the same data. It may run as several replicas: each is a module with its
// own connections to that database (on SQLite, which has one writer a file, they share it) and the
// same folder for files.
#pragma once

#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "souk/module.hpp"
#include "souk/pace.hpp"
#include "support/result_text.hpp"
#include "unit/payment/module_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <deque>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace souk::test {

class NullMetrics final : public Metrics, Counter, Gauge, Histogram {
public:
    Counter& counter(std::string_view, std::string_view, Labels) override { return *this; }
    Gauge& gauge(std::string_view, std::string_view, Labels) override { return *this; }
    Histogram& histogram(std::string_view, std::string_view, std::vector<double>, Labels) override {
        return *this;
    }
    std::string expose() const override { return {}; }

private:
    void add(double) override {}
    void set(double) override {}
    void observe(double) override {}
};

class NullBus final : public Bus {
public:
    void wake() override {}
};

class NullCache final : public Cache {
public:
    Task<std::optional<std::string>> get(std::string_view) override { co_return std::nullopt; }
    Task<void> put(std::string_view, std::string, milliseconds) override { co_return; }
    Task<void> erase(std::string_view) override { co_return; }
};

inline std::string read_file(const std::filesystem::path& file) {
    std::stringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

/// Drivers know a statement by its name, for ever; PostgreSQL looks at 63 bytes of it.
inline Statement named_statement(std::string_view text) {
    static std::map<std::string, std::string, std::less<>> names;
    const auto known =
        names.try_emplace(std::string(text), fmt::format("test.harness_{}", names.size()));
    return Statement{.name = known.first->second, .sql = known.first->first};
}

/// A process of the module.
struct Replica {
    PeerTable table;
    std::optional<Peers> peers;
    Database* database = nullptr;
    std::unique_ptr<Module> module;
    std::map<std::string, EventHandler, std::less<>> handlers;
};

class ModuleHarness {
public:
    ModuleHarness(const ModuleInfo& info, Settings settings, std::size_t replicas = 1)
        : info_(info)
        , settings_(std::move(settings))
        , count_(replicas)
        , store_(info, clock, replicas) {}
    ~ModuleHarness() { kill(); }

    void start() {
        context_ = std::make_unique<asio::io_context>();
        guard_.emplace(context_->get_executor());
        pool_ = std::make_unique<BlockingPool>("test", 2, 256);
        if (closed_) store_.reopen();
        closed_ = false;
        for (std::size_t i = 0; i < count_; ++i) {
            replicas_.emplace_back().database = &store_.of(i);
            start_replica(replicas_.back());
        }
    }

    void stop() {
        for (Replica& one : replicas_)
            run(one.module->stop(Deadline(clock, seconds(25))));
        kill();
    }

    /// The process is gone: nothing that waits goes on, only what is in files stays.
    void kill() {
        if (!closed_) store_.close();
        closed_ = true;
        pool_.reset();
        replicas_.clear();
        guard_.reset();
        context_.reset();
    }

    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        std::exception_ptr failure;
        asio::co_spawn(*context_, std::move(task), [&](std::exception_ptr error, T value) {
            failure = error;
            if (!error) result.emplace(std::move(value));
        });
        pump([&] { return failure || result.has_value(); });
        if (failure) std::rethrow_exception(failure);
        return std::move(*result);
    }

    void run(Task<void> task) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(*context_, std::move(task), [&](std::exception_ptr error) {
            failure = error;
            ended = true;
        });
        pump([&] { return ended; });
        if (failure) std::rethrow_exception(failure);
    }

    /// Lets the module work until `done`, and moves the clock by `step` whenever it isn't. Fails
    /// after 30 real seconds.
    template <class Done>
    void until(Done done, microseconds step = usual_pace) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!done()) {
            if (std::chrono::steady_clock::now() > give_up)
                throw std::runtime_error("what the test waits for did not come");
            const auto ran = context_->run_one_for(milliseconds(2));
            // Time passes only when there is nothing left to do.
            if (ran == 0) clock.advance(step);
        }
    }

    /// Lets the module work for a real while: for what must not happen.
    void work(milliseconds time = milliseconds(50)) { context_->run_for(time); }

    /// Delivers `event` as the bus does: in a transaction of the module.
    Result<void> deliver(Event event, std::size_t to = 0) {
        return run(delivering(replicas_[to], std::move(event)));
    }
    Task<Result<void>> delivering(Replica& to, Event event) {
        const EventHandler& handler = to.handlers.at(event.type);
        const TransactionBody body = [&](Transaction& tx) { return handler(tx, event); };
        co_return co_await to.database->transact(body, Deadline::never());
    }
    /// All side by side.
    template <class T>
    std::vector<T> run_all(std::vector<Task<T>> tasks) {
        std::vector<std::optional<T>> results(tasks.size());
        std::size_t ended = 0;
        std::exception_ptr failure;
        for (std::size_t i = 0; i < tasks.size(); ++i)
            asio::co_spawn(
                *context_,
                std::move(tasks[i]),
                [&, i](std::exception_ptr error, T value) {
                    if (error) failure = error;
                    results[i].emplace(std::move(value));
                    ++ended;
                }
            );
        pump([&] { return ended == tasks.size(); });
        if (failure) std::rethrow_exception(failure);
        std::vector<T> all;
        for (auto& result : results)
            all.push_back(std::move(*result));
        return all;
    }

    /// Runs one statement in a transaction.
    Result<Rows> sql(std::string_view text, Params params = {}) {
        const Statement statement = named_statement(text);
        Result<Rows> rows = Rows();
        const TransactionBody body = [&](Transaction& tx) {
            return execute(tx, statement, params, rows);
        };
        auto done = run(database().transact(body, Deadline::never()));
        if (!done) return done.error();
        return rows;
    }
    std::int64_t number(std::string_view text) { return sql(text).value()[0].integer(0); }
    std::string text(std::string_view query) {
        Rows rows = sql(query).value();
        return rows.empty() ? std::string("(none)") : rows[0].string(0);
    }

    Result<http::Response> get(
        Identity identity,
        const std::string& pattern,
        const std::string& query,
        const std::string& id = {}
    ) {
        http::Request request;
        request.query = query;
        request.params.emplace_back("id", id);
        const CallContext ctx(std::move(identity), Deadline::never(), "req_1", "");
        auto routes = module().routes();
        for (auto& route : module().internal_routes())
            routes.push_back(std::move(route));
        for (const auto& route : routes)
            if (route.pattern == pattern) return run(route.handler(ctx, request));
        throw std::logic_error("no route " + pattern);
    }

    Replica& replica(std::size_t i) { return replicas_[i]; }
    Module& module() { return *replicas_.front().module; }
    Database& database() { return store_.of(0); }
    BlockingPool& pool() { return *pool_; }
    asio::io_context& context() { return *context_; }
    const std::filesystem::path& folder() const { return folder_.path(); }
    NullMetrics& metrics() { return metrics_; }
    NullBus& bus() { return bus_; }

    base::VirtualClock clock;
    PeerTable table;  // what each replica finds there, before it starts

private:
    void start_replica(Replica& one) {
        one.table = table;
        one.peers.emplace(one.table, info_.name, info_.calls);
        one.module = info_.create(deps(one));
        for (const Subscription& subscription : one.module->subscriptions())
            one.handlers.insert_or_assign(subscription.type, subscription.handler);
        run(one.module->start()).value();
    }

    ModuleDeps deps(Replica& one) {
        return ModuleDeps{
            context_->get_executor(),
            *pool_,
            *one.database,
            bus_,
            cache_,
            *limiter_,
            clock,
            Logger("test"),
            metrics_,
            settings_,
            *one.peers,
            folder_.path()};
    }

    static Task<Result<void>> execute(
        Transaction& tx, const Statement& statement, Params params, Result<Rows>& rows
    ) {
        rows = co_await tx.execute(statement, std::move(params));
        if (!rows) co_return rows.error();
        co_return Result<void>();
    }

    template <class Done>
    void pump(Done done) {
        until(done);
    }

    const ModuleInfo& info_;
    Settings settings_;
    const std::size_t count_;
    TemporaryFolder folder_;
    ModuleStore store_;
    bool closed_ = false;
    NullMetrics metrics_;
    NullBus bus_;
    NullCache cache_;
    std::unique_ptr<RateLimiter> limiter_ = cache::make_memory_rate_limiter(clock, 1000);
    std::unique_ptr<asio::io_context> context_;
    std::optional<asio::executor_work_guard<Executor>> guard_;
    std::unique_ptr<BlockingPool> pool_;
    std::deque<Replica> replicas_;
};

}  // namespace souk::test
