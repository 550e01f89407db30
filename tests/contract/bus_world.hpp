// A small world for tests of a bus: modules with databases of their own, a clock that only the test
// moves, and listeners that write each effect into a table, so that "once" can be counted.
#pragma once

#include "base/virtual_clock.hpp"
#include "contract/bus_databases.hpp"
#include "database/migrate.hpp"
#include "events/event_bus.hpp"
#include "observe/prometheus_metrics.hpp"
#include "souk/events.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace souk::test {

/// What a listener does beside writing its effect; may refuse or throw. It runs after the write, so
/// that a refusal has something to roll back, and on the database's thread.
using Reaction = std::function<Result<void>(const Event&)>;

class BusWorld {
public:
    /// An implementation of the bus and the databases under it, how many of its loops sleep on the
    /// clock when it has nothing to do, and how to see that nothing is under way outside of this
    /// process.
    struct Kind {
        std::unique_ptr<events::EventBus> (*make)(BusWorld& world);
        std::unique_ptr<Storage> (*storage)(BusWorld& world);
        std::size_t (*loops)(const BusWorld& world);
        bool (*nothing_under_way)(BusWorld& world);
        int commits_for_10_000;  // at most, of the consumer
    };
    static Kind embedded() {
        Kind kind{};
        kind.make = [](BusWorld& w) {
            return events::make_embedded_bus(w.io.get_executor(), w.clock, *w.metrics, w.options);
        };
        kind.storage = [](BusWorld& w) -> std::unique_ptr<Storage> {
            return std::make_unique<SqliteStorage>(w.name(), w.clock);
        };
        kind.loops = [](const BusWorld& w) { return w.publishers_.size() + w.pairs() + 1; };
        kind.nothing_under_way = [](BusWorld&) { return true; };
        kind.commits_for_10_000 = 10'000 / 256 + 1;
        return kind;
    }

    explicit BusWorld(Kind kind) : kind_(kind), alive_(io.get_executor()) {
        static std::atomic<int> serial = 0;
        name_ = "souk-bus-" + std::to_string(getpid()) + "-" + std::to_string(++serial);
        storage_ = kind_.storage(*this);
    }
    ~BusWorld() { crash(); }
    BusWorld(const BusWorld&) = delete;
    BusWorld& operator=(const BusWorld&) = delete;

    void publisher(const std::string& module) {
        database(module);
        publishers_.push_back(module);
    }
    void consumer(
        const std::string& module, std::vector<std::string> types, Reaction reaction = {}
    ) {
        database(module);
        listeners_.emplace_back(module, std::move(types), std::move(reaction));
    }
    /// A consumer whose handler appends an event of type `emits` for each that it handles.
    void answering_consumer(const std::string& module, std::string listens, std::string emits) {
        std::vector<std::string> types;
        types.push_back(std::move(listens));
        consumer(module, std::move(types));
        listeners_.back().emits = std::move(emits);
    }
    void start() { bus_ = started(); }
    /// A bus over the same databases, as another process would run it.
    std::unique_ptr<events::EventBus> started() { return started(databases_); }
    std::unique_ptr<events::EventBus> started(const Databases& databases) {
        auto bus = kind_.make(*this);
        for (const std::string& name : publishers_)
            bus->add_publisher(name, *databases.at(name));
        for (const Listener& listener : listeners_)
            bus->add_consumer(
                listener.module, *databases.at(listener.module), subscriptions(listener)
            );
        run(bus->start()).value();
        return bus;
    }
    /// Drivers of its own for another process.
    Databases& another_process() {
        Databases& own = others_.emplace_back();
        for (const auto& [module, first] : databases_)
            own.emplace(module, opened(module));
        return own;
    }
    /// In good order.
    void stop() {
        run(bus_->stop(Deadline::never()));
        bus_.reset();
        io.poll();
    }
    /// The bus ends without a word; what it had not written is lost.
    void crash() {
        bus_.reset();
        const auto quiet = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        do {
            while (io.run_one_for(std::chrono::milliseconds(5)) > 0) {
            }
        } while (busy() && std::chrono::steady_clock::now() < quiet);
    }

    /// Appends one event "<module>.<type>" in a transaction of its own; returns nothing, wakes
    /// nobody.
    void append(
        const std::string& module,
        const std::string& aggregate,
        std::int64_t version,
        const std::string& type = "placed"
    ) {
        std::vector<Event> events;
        events.emplace_back(module + "." + type, aggregate, version, "{}");
        append_all(module, std::move(events));
    }
    /// Appends `count` events round about over `aggregates`, in few transactions.
    void append_many(const std::string& module, int count, int aggregates, int first = 0) {
        std::vector<Event> events;
        for (int i = first; i < first + count; ++i) {
            std::string aggregate = "agg_" + std::to_string(i % aggregates);
            events.emplace_back(module + ".placed", aggregate, i / aggregates + 1, "{}");
            if (events.size() < 1000 && i + 1 < first + count) continue;
            append_all(module, std::move(events));
            events.clear();
        }
    }

    /// Wakes the bus and lets it work until all of it waits for time to pass.
    void work() {
        bus_->wake();
        settle();
    }
    /// Lets time pass in steps, with all the work that falls due.
    void pass(milliseconds time, milliseconds step = milliseconds(50)) {
        for (milliseconds gone{0}; gone < time; gone += step) {
            settle();
            clock.advance(step);
        }
        settle();
    }
    /// Lets time pass, no faster than the world works, until `holds`.
    void until(const std::function<bool()>& holds) {
        Watchdog watchdog;
        while (!holds()) {
            watchdog.check();
            clock.advance(milliseconds(5));
            io.run_one_for(std::chrono::milliseconds(1));
            while (io.poll() > 0) {
            }
        }
    }
    bool idle() { return run(bus_->idle()).value(); }
    /// Works until the bus says that it is idle; no time passes.
    void drain() {
        Watchdog watchdog;
        do
            work();
        while (!idle() && watchdog.check());
    }

    /// "<type>/<aggregate>/<version>" in the order in which they took effect.
    std::vector<std::string> effects(const std::string& module) {
        Rows rows = select(
            module, "SELECT type || '/' || aggregate_id || '/' || version FROM effects ORDER BY n"
        );
        std::vector<std::string> all;
        for (std::size_t i = 0; i < rows.size(); ++i)
            all.push_back(rows[i].string(0));
        return all;
    }
    std::vector<std::int64_t> versions(const std::string& module, const std::string& aggregate) {
        std::string where = "WHERE aggregate_id = '" + aggregate + "'";
        Rows rows = select(module, "SELECT version FROM effects " + where + " ORDER BY n");
        std::vector<std::int64_t> all;
        for (std::size_t i = 0; i < rows.size(); ++i)
            all.push_back(rows[i].integer(0));
        return all;
    }
    /// The first column of the first row.
    std::int64_t number(const std::string& module, const std::string& sql) {
        return select(module, sql)[0].integer(0);
    }
    std::int64_t effect_count(const std::string& module) {
        return number(module, "SELECT COUNT(*) FROM effects");
    }
    /// Events that took effect, each counted once.
    std::int64_t distinct_effects(const std::string& module) {
        return number(module, "SELECT COUNT(DISTINCT event_id) FROM effects");
    }
    void execute(const std::string& module, const std::string& sql) {
        Statement statement = kept(sql);
        TransactionBody body = [statement](Transaction& tx) { return execute_in(tx, statement); };
        run(database(module).transact(std::move(body), Deadline::never())).value();
    }
    /// A series as Prometheus reads it, 0 when absent.
    double metric(const std::string& series) const {
        std::string text = "\n" + metrics->expose();
        auto at = text.find("\n" + series + " ");
        return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size() + 2));
    }

    ProbedDatabase& database(const std::string& module) {
        const auto found = databases_.find(module);
        if (found != databases_.end()) return *found->second;
        auto& slot = databases_.emplace(module, opened(module)).first->second;
        std::vector<Migration> migrations;
        migrations.push_back(Migration{
            "0001_effects",
            "-- only: sqlite\n"
            "CREATE TABLE effects (n INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, "
            "type TEXT NOT NULL, aggregate_id TEXT NOT NULL, version BIGINT NOT NULL);\n"
            "-- only: postgres\n"
            "CREATE TABLE effects (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "event_id TEXT NOT NULL, "
            "type TEXT NOT NULL, aggregate_id TEXT NOT NULL, version BIGINT NOT NULL);\n"
            "-- both\n"});
        run(database::migrate(*slot, clock, std::move(migrations))).value();
        return *slot;
    }
    events::EventBus& bus() { return *bus_; }
    const Kind& kind() const { return kind_; }
    const std::string& name() const { return name_; }
    const std::vector<std::string>& publishers() const { return publishers_; }
    /// Who listens to what.
    std::map<std::string, std::vector<std::string>> listeners() const {
        std::map<std::string, std::vector<std::string>> all;
        for (const Listener& listener : listeners_)
            all[listener.module] = listener.types;
        return all;
    }

    /// Runs the world until `task` is done.
    template <class T>
    T run(Task<T> task) {
        std::exception_ptr failure;
        bool done = false;
        Watchdog watchdog;
        if constexpr (std::is_void_v<T>) {
            asio::co_spawn(io, std::move(task), [&](std::exception_ptr error) {
                failure = error;
                done = true;
            });
            while (!done && watchdog.check())
                io.run_one_for(std::chrono::milliseconds(50));
            if (failure) std::rethrow_exception(failure);
        } else {
            std::optional<T> result;
            asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T value) {
                failure = error;
                result.emplace(std::move(value));
                done = true;
            });
            while (!done && watchdog.check())
                io.run_one_for(std::chrono::milliseconds(50));
            if (failure) std::rethrow_exception(failure);
            return std::move(*result);
        }
    }

    asio::io_context io;
    base::VirtualClock clock;
    std::unique_ptr<Metrics> metrics = observe::make_metrics();
    events::EmbeddedBusOptions options;

private:
    struct Listener {
        Listener(std::string module, std::vector<std::string> types, Reaction reaction)
            : module(std::move(module)), types(std::move(types)), reaction(std::move(reaction)) {}
        std::string module;
        std::vector<std::string> types;
        Reaction reaction;
        std::string emits;
    };
    /// A test that hangs says so.
    struct Watchdog {
        bool check() const {
            if (std::chrono::steady_clock::now() < end) return true;
            throw std::runtime_error("the bus does not come to rest");
        }
        std::chrono::steady_clock::time_point end =
            std::chrono::steady_clock::now() + std::chrono::seconds(60);
    };

    static Task<Result<void>> execute_in(Transaction& tx, Statement statement) {
        Result<Rows> done = co_await tx.execute(statement);
        if (!done) co_return done.error();
        co_return Result<void>();
    }
    static Task<Result<void>> answer(
        Transaction& tx, const Event& event, const std::string& emits, const Clock& clock
    ) {
        auto taken = co_await take_effect(tx, event, Reaction());
        if (!taken) co_return taken;
        Event reply(emits, event.aggregate_id, event.version, "{}");
        co_return co_await append_event(tx, clock, std::move(reply));
    }
    static Task<Result<void>> take_effect(
        Transaction& tx, const Event& event, const Reaction& reaction
    ) {
        static constexpr Statement insert{
            "test.effect",
            "INSERT INTO effects (event_id, type, aggregate_id, version) VALUES ($1, $2, $3, $4)"};
        Params row = bind(event.id, event.type, event.aggregate_id, event.version);
        Result<Rows> done = co_await tx.execute(insert, std::move(row));
        if (!done) co_return done.error();
        if (reaction) co_return reaction(event);
        co_return Result<void>();
    }
    static Task<Result<void>> append_in(
        Transaction& tx, const Clock& clock, std::shared_ptr<const std::vector<Event>> events
    ) {
        for (const Event& event : *events) {
            Result<void> appended = co_await append_event(tx, clock, event);
            if (!appended) co_return appended;
        }
        co_return Result<void>();
    }

    void append_all(const std::string& module, std::vector<Event> events) {
        auto shared = std::make_shared<const std::vector<Event>>(std::move(events));
        const Clock& now = clock;
        TransactionBody body = [&now, shared](Transaction& tx) {
            return append_in(tx, now, shared);
        };
        run(database(module).transact(std::move(body), Deadline::never())).value();
    }
    std::vector<Subscription> subscriptions(const Listener& listener) const {
        std::vector<Subscription> all;
        const Clock& now = clock;
        if (!listener.emits.empty()) {
            all.emplace_back(
                listener.types.front(),
                [&now, emits = listener.emits](Transaction& tx, const Event& e) {
                    return answer(tx, e, emits, now);
                }
            );
            return all;
        }
        for (const std::string& type : listener.types)
            all.emplace_back(type, [reaction = listener.reaction](Transaction& tx, const Event& e) {
                return take_effect(tx, e, reaction);
            });
        return all;
    }
    /// Publisher and consumer that have something to do with each other.
    std::size_t pairs() const {
        std::set<std::string> pairs;
        for (const Listener& listener : listeners_)
            for (const std::string& type : listener.types)
                pairs.insert(type.substr(0, type.find('.')) + " " + listener.module);
        return pairs.size();
    }
    void settle() {
        Watchdog watchdog;
        for (;;) {
            bool worked = io.poll() > 0;
            bool asleep = clock.sleepers() >= kind_.loops(*this);
            if (!worked && asleep && kind_.nothing_under_way(*this) && io.poll() == 0) return;
            if (!asleep) io.run_one_for(std::chrono::milliseconds(5));
            watchdog.check();
        }
    }
    Rows select(const std::string& module, const std::string& sql) {
        Statement statement = kept(sql);
        return run(database(module).query(statement, Params(), Deadline::never())).value();
    }
    /// Drivers remember statements by name, so each text has its own and stays.
    Statement kept(const std::string& sql) {
        auto& name = names_[sql];
        if (name.empty()) name = "test.statement_" + std::to_string(names_.size());
        return Statement{name, names_.find(sql)->first};
    }
    std::unique_ptr<ProbedDatabase> opened(const std::string& module) {
        auto driver = run(storage_->open(module));
        return std::make_unique<ProbedDatabase>(std::move(driver).value(), clock);
    }
    /// Whether a loop still runs, or a call of its own.
    bool busy() const {
        bool calls = calls_under_way(databases_);
        for (const Databases& databases : others_)
            calls = calls || calls_under_way(databases);
        return calls || clock.sleepers() > 0;
    }
    static bool calls_under_way(const Databases& databases) {
        for (const auto& [module, database] : databases)
            if (database->under_way > 0) return true;
        return false;
    }

    Kind kind_;
    std::map<std::string, std::string> names_;  // of statements, by their text
    std::string name_;
    asio::executor_work_guard<Executor> alive_;
    std::unique_ptr<Storage> storage_;
    Databases databases_;
    std::deque<Databases> others_;
    std::vector<std::string> publishers_;
    std::vector<Listener> listeners_;
    std::unique_ptr<events::EventBus> bus_;
};

}  // namespace souk::test
