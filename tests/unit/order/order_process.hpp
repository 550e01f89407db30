// A process of the order module: the module, its connections, and a clock that knows who of it
// sleeps. Several of them on one store are replicas.
#pragma once

#include "unit/payment/module_store.hpp"
#include "unit/product/module_world.hpp"

#include <set>

namespace souk::order {
const ModuleInfo& module();
}

namespace souk::test {

/// The test's clock as one module sees it. Knows its sleepers apart from those of others, such as
/// the drivers of databases.
class ModuleClock final : public Clock {
public:
    explicit ModuleClock(base::VirtualClock& clock) : clock_(clock) {}
    Timestamp now() const override { return clock_.now(); }
    SteadyTime steady() const override { return clock_.steady(); }
    Task<bool> sleep(microseconds duration) override {
        const Sleeping entry(due_, clock_.steady() + duration);
        co_return co_await clock_.sleep(duration);
    }
    /// `count` of the module's coroutines sleep, and none of them is about to wake.
    bool asleep(std::size_t count) const {
        return due_.size() == count && *due_.begin() > clock_.steady();
    }

private:
    using Due = std::multiset<SteadyTime>;
    struct Sleeping {
        Sleeping(Due& due, SteadyTime at) : due(due), entry(due.insert(at)) {}
        ~Sleeping() { due.erase(entry); }
        Sleeping(const Sleeping&) = delete;
        Sleeping& operator=(const Sleeping&) = delete;
        Due& due;
        Due::iterator entry;
    };
    base::VirtualClock& clock_;
    Due due_;
};

class OrderProcess {
public:
    OrderProcess(Shop& shop, Database& database, PeerTable& peers)
        : shop_(shop)
        , clock_(shop.clock)
        , peers_(peers, order::module().name, order::module().calls)
        , database_(database) {
        SettingsMap settings{
            {"currency", "GBP"},
            {"intent_lease", "30s"},
            {"payment_timeout", "15m"},
            {"sweep_every", "5s"}};
        module_ = order::module().create(ModuleDeps{
            shop.context.get_executor(),
            shop.pool,
            database,
            shop.bus,
            shop.cache,
            *shop.limiter,
            clock_,
            Logger("test"),
            shop.metrics,
            Settings(std::move(settings)),
            peers_,
            shop.folder.path()});
        routes_ = module_->routes();
        for (http::Route& route : module_->internal_routes())
            routes_.push_back(std::move(route));
        for (const Subscription& subscription : module_->subscriptions())
            subscriptions_.insert_or_assign(subscription.type, subscription);
    }

    void start() {
        shop_.run(module_->start()).value();
        shop_.until([&] { return asleep(); });
    }
    void stop() {
        if (module_) shop_.run(stopping());
    }
    Task<void> stopping() { return module_->stop(Deadline(shop_.clock, seconds(5))); }
    /// As the host does after the stop; nothing but stop() may come then.
    void destroy() { module_.reset(); }
    /// The sweeper and the pruner sleep; nothing else of the module does.
    bool asleep() const { return clock_.asleep(2); }

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

    Task<Result<void>> delivering(Event event) {
        const EventHandler& handler = subscriptions_.at(event.type).handler;
        TransactionBody body = [&](Transaction& tx) { return handler(tx, event); };
        co_return co_await database_.transact(std::move(body), Deadline::never());
    }
    Result<void> deliver(Event event) { return shop_.run(delivering(std::move(event))); }
    /// Events of one type in one go.
    Result<void> deliver(std::vector<Event> events) {
        const BatchHandler& handler = subscriptions_.at(events.front().type).batch_handler;
        TransactionBody body = [&](Transaction& tx) { return handler(tx, events); };
        return shop_.run(database_.transact(std::move(body), Deadline::never()));
    }

    Result<Rows> sql(std::string_view text, Params params = {}) {
        return shop_.run(running(text, std::move(params)));
    }
    Task<Result<Rows>> running(std::string_view text, Params params = {}) {
        const Statement statement = kept_statement(text);
        Result<Rows> rows = Rows();
        TransactionBody body = [&](Transaction& tx) {
            return ModuleWorld::execute(tx, statement, params, rows);
        };
        auto done = co_await database_.transact(std::move(body), Deadline::never());
        if (!done) co_return done.error();
        co_return rows;
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
    ModuleClock clock_;
    Peers peers_;
    Database& database_;
    std::unique_ptr<Module> module_;
    http::Routes routes_;
    std::map<std::string, Subscription, std::less<>> subscriptions_;
    std::int64_t seen_ = 0;
};

}  // namespace souk::test
