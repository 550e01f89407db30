// One module on its own SQLite file with a clock that the test owns. It can be stopped or killed
// and started again over the same files.
#pragma once

#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "database/migrate.hpp"
#include "database/sqlite/sqlite_database.hpp"
#include "souk/module.hpp"
#include "support/result_text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
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

class ModuleHarness {
public:
    ModuleHarness(const ModuleInfo& info, Settings settings)
        : info_(info), settings_(std::move(settings)) {
        char name[] = "/tmp/souk-unit-XXXXXX";
        if (::mkdtemp(name) == nullptr) throw std::runtime_error("no temporary folder");
        folder_ = name;
    }
    ~ModuleHarness() {
        kill();
        std::filesystem::remove_all(folder_);
    }

    void start() {
        context_ = std::make_unique<asio::io_context>();
        guard_.emplace(context_->get_executor());
        pool_ = std::make_unique<BlockingPool>("test", 2, 256);
        database::SqliteOptions options;
        options.file = folder_ / "module.db";
        database_ = database::open_sqlite(options, clock).value();
        run(database::migrate(*database_, clock, info_.migrations)).value();
        peers_.emplace(table, info_.name, info_.calls);
        module_ = info_.create(deps());
        for (const Subscription& subscription : module_->subscriptions())
            handlers_.insert_or_assign(subscription.type, subscription.handler);
        run(module_->start()).value();
    }

    void stop() {
        run(module_->stop(Deadline(clock, seconds(25))));
        kill();
    }

    /// The process is gone: nothing that waits goes on, only what is in files stays.
    void kill() {
        database_.reset();
        pool_.reset();
        handlers_.clear();
        module_.reset();
        guard_.reset();
        context_.reset();
    }

    ModuleDeps deps() {
        return ModuleDeps{
            context_->get_executor(),
            *pool_,
            *database_,
            bus_,
            cache_,
            *limiter_,
            clock,
            Logger("test"),
            metrics_,
            settings_,
            *peers_,
            folder_};
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
    void until(Done done, microseconds step = microseconds(0)) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!done()) {
            if (std::chrono::steady_clock::now() > give_up)
                throw std::runtime_error("what the test waits for did not come");
            const auto ran = context_->run_one_for(milliseconds(2));
            // Time passes only when there is nothing left to do.
            if (ran == 0 && step > microseconds(0)) clock.advance(step);
        }
    }

    /// Lets the module work for a real while: for what must not happen.
    void work(milliseconds time = milliseconds(50)) { context_->run_for(time); }

    /// Delivers `event` as the bus does: in a transaction of the module.
    Result<void> deliver(Event event) {
        const EventHandler& handler = handlers_.at(event.type);
        const TransactionBody body = [&](Transaction& tx) { return handler(tx, event); };
        return run(database_->transact(body, Deadline::never()));
    }

    /// Runs one statement in a transaction.
    Result<Rows> sql(std::string_view text, Params params = {}) {
        const Statement statement{.name = "", .sql = text};
        Result<Rows> rows = Rows();
        const TransactionBody body = [&](Transaction& tx) {
            return execute(tx, statement, params, rows);
        };
        auto done = run(database_->transact(body, Deadline::never()));
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
        auto routes = module_->routes();
        for (auto& route : module_->internal_routes())
            routes.push_back(std::move(route));
        for (const auto& route : routes)
            if (route.pattern == pattern) return run(route.handler(ctx, request));
        throw std::logic_error("no route " + pattern);
    }

    Module& module() { return *module_; }
    Database& database() { return *database_; }
    BlockingPool& pool() { return *pool_; }
    asio::io_context& context() { return *context_; }
    const std::filesystem::path& folder() const { return folder_; }
    NullMetrics& metrics() { return metrics_; }
    NullBus& bus() { return bus_; }

    base::VirtualClock clock;
    PeerTable table;

private:
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
    std::filesystem::path folder_;
    NullMetrics metrics_;
    NullBus bus_;
    NullCache cache_;
    std::unique_ptr<RateLimiter> limiter_ = cache::make_memory_rate_limiter(clock, 1000);
    std::optional<Peers> peers_;
    std::unique_ptr<asio::io_context> context_;
    std::optional<asio::executor_work_guard<Executor>> guard_;
    std::unique_ptr<BlockingPool> pool_;
    std::unique_ptr<Database> database_;
    std::unique_ptr<Module> module_;
    std::map<std::string, EventHandler, std::less<>> handlers_;
};

}  // namespace souk::test
