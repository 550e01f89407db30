// Modules as the host builds them, each on a database of its own (SQLite, or what
// SOUK_TEST_DATABASE says), with one clock that the test owns and one thread for all coroutines.
// Routes are called as the kernel calls them.
#pragma once

#include "base/system_clock.hpp"
#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "souk/json.hpp"
#include "souk/module.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"
#include "support/temp_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace souk::test {

class NoMetrics final : public Metrics, Counter, Gauge, Histogram {
public:
    Counter& counter(std::string_view, std::string_view, Labels) override { return *this; }
    Gauge& gauge(std::string_view, std::string_view, Labels) override { return *this; }
    Histogram& histogram(std::string_view, std::string_view, std::vector<double>, Labels) override {
        return *this;
    }
    std::string expose() const override { return {}; }
    double gauge_value = 0;  // the last one set

private:
    void add(double) override {}
    void set(double v) override { gauge_value = v; }
    void observe(double) override {}
};

class NoBus final : public Bus {
public:
    void wake() override {}
};

class NoCache final : public Cache {
public:
    Task<std::optional<std::string>> get(std::string_view) override { co_return std::nullopt; }
    Task<void> put(std::string_view, std::string, milliseconds) override { co_return; }
    Task<void> erase(std::string_view) override { co_return; }
};

struct Answer {
    Answer() = default;
    int status = 0;
    std::string text;
    json::object body;  // a problem document's members when status >= 400
    http::Headers headers;

    std::string member(std::string_view name) const {
        const json::value* found = body.if_contains(name);
        return found == nullptr || !found->is_string() ? "" : std::string(found->as_string());
    }
    std::string code() const { return member("code"); }
    bool replayed() const { return headers.has("Idempotency-Replayed"); }
};

/// What all modules of one test share.
class Shop {
public:
    Shop() : guard_(context.get_executor()), pool("test", 1, 16) {}

    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        std::exception_ptr failure;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
            failure = error;
            if (!error) result.emplace(std::move(value));
        });
        until([&] { return failure || result.has_value(); });
        if (failure) std::rethrow_exception(failure);
        return std::move(*result);
    }

    void run(Task<void> task) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) {
            failure = error;
            ended = true;
        });
        until([&] { return ended; });
        if (failure) std::rethrow_exception(failure);
    }

    /// All side by side; results in their order.
    template <class T>
    std::vector<T> run_all(std::vector<Task<T>> tasks) {
        std::vector<std::optional<T>> results(tasks.size());
        std::size_t ended = 0;
        std::exception_ptr failure;
        for (std::size_t i = 0; i < tasks.size(); ++i)
            asio::co_spawn(context, std::move(tasks[i]), [&, i](std::exception_ptr error, T value) {
                if (error) failure = error;
                results[i].emplace(std::move(value));
                ++ended;
            });
        until([&] { return ended == tasks.size(); });
        if (failure) std::rethrow_exception(failure);
        std::vector<T> out;
        for (auto& result : results)
            out.push_back(std::move(*result));
        return out;
    }

    /// Fails after 30 real seconds.
    template <class Done>
    void until(Done done) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!done()) {
            if (std::chrono::steady_clock::now() > give_up)
                throw std::runtime_error("what the test waits for did not come");
            context.run_one_for(milliseconds(20));
        }
    }

    asio::io_context context;
    asio::executor_work_guard<Executor> guard_;
    base::VirtualClock clock;
    BlockingPool pool;
    PeerTable peers;
    NoMetrics metrics;
    NoBus bus;
    NoCache cache;
    std::unique_ptr<RateLimiter> limiter = cache::make_memory_rate_limiter(clock, 1000);
    TempFolder folder;
};

using SettingsMap = std::map<std::string, std::string, std::less<>>;

/// Drivers know a statement by its name, for ever; PostgreSQL looks at 63 bytes of it.
inline Statement kept_statement(std::string_view text) {
    static std::map<std::string, std::string, std::less<>> names;
    const auto known =
        names.try_emplace(std::string(text), fmt::format("test.statement_{}", names.size()));
    return Statement{known.first->second, known.first->first};
}

/// The test's time for the database's driver, which really sleeps by it: nobody advances the clock
/// for the driver's own waits, and they do not count as sleepers of the module.
class DriverClock final : public Clock {
public:
    explicit DriverClock(const Clock& time) : time_(time) {}
    Timestamp now() const override { return time_.now(); }
    SteadyTime steady() const override { return time_.steady(); }
    Task<bool> sleep(microseconds duration) override {
        return base::system_clock().sleep(duration);
    }

private:
    const Clock& time_;
};

class ModuleWorld {
public:
    ModuleWorld(Shop& shop, const ModuleInfo& info, SettingsMap settings)
        : shop_(shop)
        , own_peers_(shop.peers, info.name, info.calls)
        , driver_clock_(shop.clock)
        , fixture_(info.migrations, driver_clock_) {
        module_ = info.create(ModuleDeps{
            shop.context.get_executor(),
            shop.pool,
            database(),
            shop.bus,
            shop.cache,
            *shop.limiter,
            shop.clock,
            Logger("test"),
            shop.metrics,
            Settings(std::move(settings)),
            own_peers_,
            shop.folder.path()});
        routes_ = module_->routes();
        for (http::Route& route : module_->internal_routes())
            routes_.push_back(std::move(route));
        for (const Subscription& subscription : module_->subscriptions())
            subscriptions_.insert_or_assign(subscription.type, subscription);
    }

    void start() { shop_.run(module_->start()).value(); }
    void stop() { shop_.run(module_->stop(Deadline(shop_.clock, seconds(5)))); }

    /// `pattern` as in the route table; `target` as in "prd_1?limit=2": the id, the query.
    Task<Answer> call(
        http::Method method,
        std::string pattern,
        std::string target,
        Identity caller,
        std::string body,
        http::Headers headers
    ) {
        http::Request request;
        request.method = method;
        const auto mark = target.find('?');
        request.params.emplace_back("id", target.substr(0, mark));
        if (mark != std::string::npos) request.query = target.substr(mark + 1);
        request.body = std::move(body);
        request.headers = std::move(headers);
        CallContext ctx(
            std::move(caller), Deadline(shop_.clock, seconds(5)), "req_1", std::string()
        );
        const http::Handler& handler = find(method, pattern).handler;
        auto result = co_await handler(ctx, request);
        co_return to_answer(std::move(result));
    }

    Answer get(std::string pattern, std::string target = {}, Identity caller = {}) {
        return shop_.run(call(
            http::Method::get, std::move(pattern), std::move(target), std::move(caller), {}, {}
        ));
    }
    Answer post(std::string pattern, std::string target, Identity caller, std::string body) {
        return shop_.run(call(
            http::Method::post,
            std::move(pattern),
            std::move(target),
            std::move(caller),
            std::move(body),
            {}
        ));
    }

    /// Delivers `event` as the bus does: in a transaction of the module. True without a handler.
    Result<void> deliver(Event event) {
        const auto found = subscriptions_.find(event.type);
        if (found == subscriptions_.end()) return Result<void>();
        const EventHandler& handler = found->second.handler;
        TransactionBody body = [&](Transaction& tx) { return handler(tx, event); };
        return shop_.run(database().transact(std::move(body), Deadline::never()));
    }
    /// Events of one type in one go.
    Result<void> deliver(const std::vector<Event>& events) {
        const BatchHandler& handler = subscriptions_.at(events.front().type).batch_handler;
        TransactionBody body = [&](Transaction& tx) { return handler(tx, events); };
        return shop_.run(database().transact(std::move(body), Deadline::never()));
    }

    Result<Rows> sql(std::string_view text, Params params = {}) {
        const Statement statement = kept_statement(text);
        Result<Rows> rows = Rows();
        TransactionBody body = [&](Transaction& tx) {
            return execute(tx, statement, params, rows);
        };
        auto done = shop_.run(database().transact(std::move(body), Deadline::never()));
        if (!done) return done.error();
        return rows;
    }
    std::int64_t number(std::string_view text) { return sql(text).value()[0].integer(0); }
    std::string text(std::string_view query) {
        const Rows rows = sql(query).value();
        return rows.empty() ? std::string("(none)") : rows[0].string(0);
    }

    /// Events appended since the last call, in their order.
    std::vector<Event> take_events() {
        const Rows rows =
            sql("SELECT seq, type, aggregate_id, version, data FROM outbox WHERE seq > $1 "
                "ORDER BY seq",
                bind(seen_))
                .value();
        std::vector<Event> events;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            seen_ = rows[i].integer(0);
            events.emplace_back(
                rows[i].string(1), rows[i].string(2), rows[i].integer(3), rows[i].string(4)
            );
        }
        return events;
    }

    Database& database() { return fixture_.database(); }
    const http::Routes& routes() const { return routes_; }

    static Task<Result<void>> execute(
        Transaction& tx, const Statement& statement, Params params, Result<Rows>& rows
    ) {
        rows = co_await tx.execute(statement, std::move(params));
        if (!rows) co_return rows.error();
        co_return Result<void>();
    }

private:
    const http::Route& find(http::Method method, std::string_view pattern) const {
        for (const http::Route& route : routes_)
            if (route.method == method && route.pattern == pattern) return route;
        throw std::logic_error("no route " + std::string(pattern));
    }

    static Answer to_answer(Result<http::Response> result) {
        http::Response response;
        if (result)
            response = std::move(*result);
        else
            response = http::Response::problem(result.error(), "req_1");
        Answer answer;
        answer.status = response.status;
        answer.text = response.body;
        answer.headers = response.headers;
        if (!response.body.empty()) answer.body = json::parse(response.body).value().as_object();
        return answer;
    }

    Shop& shop_;
    Peers own_peers_;
    DriverClock driver_clock_;
    DatabaseFixture fixture_;
    std::unique_ptr<Module> module_;
    http::Routes routes_;
    std::map<std::string, Subscription, std::less<>> subscriptions_;
    std::int64_t seen_ = 0;
};

inline Identity customer(std::string subject = "usr_customer") {
    return Identity(std::move(subject), {"customer"}, "ses_1");
}
inline Identity admin() {
    return Identity("usr_admin", {"admin"}, "ses_2");
}

}  // namespace souk::test
