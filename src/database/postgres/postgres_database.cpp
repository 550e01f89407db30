#include "database/postgres/postgres_database.hpp"

#include "database/postgres/pool.hpp"
#include "database/postgres/shared_reads.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace souk::database {

bool ConnectionBudget::take() {
    std::size_t left = spare_.load();
    while (left > 0)
        if (spare_.compare_exchange_weak(left, left - 1)) return true;
    return false;
}

void ConnectionBudget::give_back() {
    ++spare_;
}

namespace postgres {
namespace {

// How late a deadline may be noticed.
constexpr milliseconds look_every{20};
constexpr auto for_ever = std::chrono::hours(24);
constexpr Statement may_create{
    "postgres.may_create",
    "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"};

std::string setup_for(bool reads, milliseconds statement_timeout) {
    // A server that the process has left for dead must let go of its locks. The last line finds
    // that a client is gone while a statement runs (from 14 on).
    std::string common =
        "SET idle_in_transaction_session_timeout = 10000;"
        "SET default_transaction_isolation = 'read committed';"
        // Most statements go by keys, and their plans are made once, perhaps while the tables are
        // small: pages are in memory, and a whole table is to be read for a good reason only.
        "SET random_page_cost = 1.1;"
        "SELECT set_config(name, '1000', false) FROM pg_settings"
        "  WHERE name = 'client_connection_check_interval';";
    if (!reads) return common;
    return common + fmt::format(
                        "SET default_transaction_read_only = on; SET statement_timeout = {};",
                        statement_timeout.count()
                    );
}

/// Counts the calls under way; the next one beyond the limit is refused.
class Entrance {
public:
    Entrance(std::atomic<std::size_t>& inside, std::size_t limit)
        : inside_(inside), admitted_(inside.fetch_add(1) < limit) {}
    ~Entrance() { --inside_; }
    Entrance(const Entrance&) = delete;
    Entrance& operator=(const Entrance&) = delete;
    bool admitted() const { return admitted_; }

private:
    std::atomic<std::size_t>& inside_;
    const bool admitted_;
};

class OpenCall : public Request {
public:
    explicit OpenCall(std::shared_ptr<base::Signal> signal)
        : Request(std::move(signal), Deadline::never()) {}
    Result<void> result;
};

/// All that lives on the home's thread. Outlives the Database by what is still under way there.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(Executor home, Clock& clock) : home_(home), wakeup_(home, clock) {}

    void use(
        std::shared_ptr<SharedReads> reads,
        std::shared_ptr<SharedReads> replica,
        std::shared_ptr<Pool> pool
    ) {
        reads_ = std::move(reads);
        replica_ = std::move(replica);
        pool_ = std::move(pool);
    }
    const std::shared_ptr<SharedReads>& reads() const { return reads_; }
    const std::shared_ptr<Pool>& pool() const { return pool_; }

    static Task<void> open(std::shared_ptr<Core> self, std::shared_ptr<OpenCall> call) {
        auto opened = co_await self->pool_->open();
        if (opened) opened = co_await self->reads_->open();
        if (opened && !self->closed_) {
            self->pool_->run();
            self->reads_->run();
            if (self->replica_) self->replica_->run();
            spawn(self->home_, [self] { return watch(self); });
        }
        if (!opened) self->close();
        call->result = opened;
        call->answer();
    }

    void close() {
        closed_ = true;
        pool_->close();
        reads_->close();
        if (replica_) replica_->close();
        wakeup_.notify();
    }

    /// From any thread. What comes in one turn of the loop is taken together.
    void post(std::shared_ptr<QueryCall> call) {
        std::lock_guard lock(mutex_);
        queries_.push_back(std::move(call));
        take_soon();
    }
    void post(std::shared_ptr<TransactCall> call) {
        std::lock_guard lock(mutex_);
        transactions_.push_back(std::move(call));
        take_soon();
    }

private:
    void take_soon() {
        if (!std::exchange(taking_, true))
            asio::post(home_, [self = shared_from_this()] { self->take(); });
    }

    void take() {
        std::vector<std::shared_ptr<QueryCall>> queries;
        std::vector<std::shared_ptr<TransactCall>> transactions;
        {
            std::lock_guard lock(mutex_);
            queries.swap(queries_);
            transactions.swap(transactions_);
            taking_ = false;
        }
        for (auto& call : queries) {
            bool elsewhere = call->stale && replica_ && replica_->usable();
            (elsewhere ? replica_ : reads_)->add(std::move(call));
        }
        if (!queries.empty()) reads_->flush();
        if (!queries.empty() && replica_) replica_->flush();
        for (auto& call : transactions)
            pool_->add(std::move(call));
        if (!watching_) wakeup_.notify();
    }

    /// Deadlines, looked after while anybody waits.
    static Task<void> watch(std::shared_ptr<Core> self) {
        while (!self->closed_) {
            bool busy = self->pool_->check();
            busy = self->reads_->check() || busy;
            if (self->replica_) busy = self->replica_->check() || busy;
            self->watching_ = busy;
            if (busy)
                co_await self->wakeup_.wait(look_every);
            else
                co_await self->wakeup_.wait(for_ever);
        }
    }

    const Executor home_;
    Wakeup wakeup_;
    std::shared_ptr<SharedReads> reads_;
    std::shared_ptr<SharedReads> replica_;  // empty: none configured
    std::shared_ptr<Pool> pool_;
    bool watching_ = false;
    bool closed_ = false;

    std::mutex mutex_;
    std::vector<std::shared_ptr<QueryCall>> queries_;
    std::vector<std::shared_ptr<TransactCall>> transactions_;
    bool taking_ = false;
};

struct Meters {
    explicit Meters(Metrics& metrics)
        : query(histogram(metrics, "query"))
        , transaction(histogram(metrics, "transaction"))
        , reruns(metrics.counter(
              "database_reruns_total", "Bodies of transactions that ran again for a lost race"
          )) {}
    static Histogram& histogram(Metrics& metrics, std::string_view kind) {
        return metrics.histogram(
            "database_seconds",
            "Time from a call to its answer",
            {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
            {{"kind", kind}}
        );
    }
    Histogram& query;
    Histogram& transaction;
    Counter& reruns;
};

double seconds_between(SteadyTime from, SteadyTime to) {
    return std::chrono::duration<double>(to - from).count();
}

class PostgresDatabase final : public Database {
public:
    PostgresDatabase(const PostgresOptions& options, Executor home, Clock& clock, Metrics& metrics)
        : home_(home)
        , clock_(clock)
        , limit_(options.queue_limit)
        , meters_(metrics)
        , core_(std::make_shared<Core>(home, clock)) {}

    ~PostgresDatabase() override {
        for (const auto& census : censuses_)
            census->end();
        if (ready_) asio::post(home_, [core = core_] { core->close(); });
    }

    Result<void> configure(const PostgresOptions& options, Metrics& metrics) {
        auto target = Target::parse(options.url, options.password_file);
        if (!target) return target.error();
        auto reads = connector(options, *target, true, census(metrics, "shared"));
        auto writes = connector(options, *target, false, census(metrics, "transaction"));
        auto pool = std::make_shared<Pool>(writes, options.transactions, options.budget);
        auto doubt = [weak = std::weak_ptr(pool)](const Error& why) {
            if (auto transactions = weak.lock()) transactions->doubt(why);
        };
        auto shared = std::make_shared<SharedReads>(
            reads, limit_, options.statement_timeout, SharedReads::Elsewhere(), std::move(doubt)
        );
        std::shared_ptr<SharedReads> replica;
        if (!options.replica_url.empty()) {
            auto other = Target::parse(options.replica_url, options.password_file);
            if (!other) return other.error();
            auto stale = connector(options, *other, true, census(metrics, "replica"));
            auto primary = [weak = std::weak_ptr(shared)](std::shared_ptr<QueryCall> call) {
                if (auto reads = weak.lock()) reads->add_now(std::move(call));
            };
            replica = std::make_shared<SharedReads>(
                stale,
                limit_,
                options.statement_timeout,
                std::move(primary),
                SharedReads::OnSilence()
            );
        }
        core_->use(std::move(shared), std::move(replica), std::move(pool));
        return {};
    }

    Task<Result<void>> open() {
        ready_ = true;
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto call = std::make_shared<OpenCall>(signal);
        Attendance attendance(call, std::move(signal));
        spawn(home_, [core = core_, call] { return Core::open(core, call); });
        bool answered = co_await attendance.wait();
        if (!answered) co_return cancelled();
        if (!call->result) co_return call->result.error();
        auto allowed = co_await query(may_create, Params(), Deadline::never());
        if (!allowed) co_return allowed.error();
        if (!(*allowed)[0].boolean(0))
            co_return unavailable(
                "database_open",
                "the role may not create tables in the database: GRANT CREATE ON SCHEMA public TO "
                "it, or make it the owner of the database"
            );
        co_return Result<void>();
    }

    Task<Result<Rows>> query(const Statement& statement, Params params, Deadline deadline)
        override {
        return read(statement, std::move(params), deadline, false);
    }
    Task<Result<Rows>> query_stale(const Statement& statement, Params params, Deadline deadline)
        override {
        return read(statement, std::move(params), deadline, true);
    }

    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        if (deadline.passed(clock_)) co_return too_late();
        Entrance entrance(transactions_, limit_);
        if (!entrance.admitted()) co_return busy();
        const SteadyTime start = clock_.steady();
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto call = std::make_shared<TransactCall>(signal, std::move(body), deadline);
        Attendance attendance(call, std::move(signal));
        core_->post(call);
        bool answered = co_await attendance.wait();
        if (!answered) {
            if (!call->leave()) co_return cancelled();
            co_return unavailable("commit_unknown", "the caller left before the answer came");
        }
        meters_.transaction.observe(seconds_between(start, clock_.steady()));
        if (call->runs > 1) meters_.reruns.add(call->runs - 1);
        if (call->failure) std::rethrow_exception(call->failure);
        co_return std::move(call->result);
    }

    Dialect dialect() const override { return Dialect::postgres; }

    std::string fault() const override {
        std::string words = core_->pool()->fault();
        return words.empty() ? core_->reads()->fault() : words;
    }

private:
    std::shared_ptr<Census> census(Metrics& metrics, std::string_view kind) {
        auto& gauge = metrics.gauge(
            "database_connections", "Open connections to PostgreSQL", {{"kind", kind}}
        );
        return censuses_.emplace_back(std::make_shared<Census>(gauge));
    }

    std::shared_ptr<const Connector> connector(
        const PostgresOptions& options,
        const Target& target,
        bool reads,
        std::shared_ptr<Census> census
    ) {
        return std::make_shared<const Connector>(
            home_,
            clock_,
            target,
            setup_for(reads, options.statement_timeout),
            options.connect_timeout,
            std::move(census)
        );
    }

    Task<Result<Rows>> read(
        const Statement& statement, Params params, Deadline deadline, bool stale
    ) {
        if (deadline.passed(clock_)) co_return too_late();
        Entrance entrance(queries_, limit_);
        if (!entrance.admitted()) co_return busy();
        const SteadyTime start = clock_.steady();
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto call =
            std::make_shared<QueryCall>(signal, statement, std::move(params), deadline, stale);
        Attendance attendance(call, std::move(signal));
        core_->post(call);
        bool answered = co_await attendance.wait();
        if (!answered) co_return cancelled();
        meters_.query.observe(seconds_between(start, clock_.steady()));
        if (call->failure) std::rethrow_exception(call->failure);
        co_return std::move(call->result);
    }

    const Executor home_;
    Clock& clock_;
    const std::size_t limit_;
    Meters meters_;
    const std::shared_ptr<Core> core_;
    std::vector<std::shared_ptr<Census>> censuses_;
    std::atomic<std::size_t> queries_ = 0;
    std::atomic<std::size_t> transactions_ = 0;
    bool ready_ = false;  // something lives on the home's thread
};

}  // namespace
}  // namespace postgres

Task<Result<std::unique_ptr<Database>>> open_postgres(
    PostgresOptions options, Executor home, Clock& clock, Metrics& metrics
) {
    auto database = std::make_unique<postgres::PostgresDatabase>(options, home, clock, metrics);
    if (auto sound = database->configure(options, metrics); !sound) co_return sound.error();
    auto opened = co_await database->open();
    if (!opened) co_return opened.error();
    std::unique_ptr<Database> ready = std::move(database);
    co_return std::move(ready);
}

}  // namespace souk::database
