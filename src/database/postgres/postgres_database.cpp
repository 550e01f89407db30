#include "database/postgres/postgres_database.hpp"

#include "database/postgres/pool.hpp"
#include "database/postgres/shared_reads.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <functional>

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

/// What lives on one thread of a database: its part of the calls, taken together once a turn of the
/// loop. Outlives the Database by what is still under way there.
class Part : public std::enable_shared_from_this<Part> {
public:
    Part(Executor home, Clock& clock) : home_(home), wakeup_(home, clock) {}
    virtual ~Part() = default;

    const Executor& home() const { return home_; }
    static Task<void> open(std::shared_ptr<Part> self, std::shared_ptr<OpenCall> call) {
        auto opened = co_await self->connect();
        if (opened && !self->closed_) {
            self->run();
            spawn(self->home_, [self] { return watch(self); });
        }
        if (!opened) self->close();
        call->result = opened;
        call->answer();
    }
    void close() {
        closed_ = true;
        close_all();
        wakeup_.notify();
    }

protected:
    virtual Task<Result<void>> connect() = 0;
    virtual void run() = 0;
    virtual void close_all() = 0;
    /// What came since the last turn.
    virtual void take() = 0;
    /// Looks after deadlines. False when nobody waits.
    virtual bool check() = 0;

    /// From any thread, under `mutex_`.
    void take_soon() {
        if (std::exchange(taking_, true)) return;
        asio::post(home_, [self = shared_from_this()] {
            self->take();
            if (!self->watching_) self->wakeup_.notify();
        });
    }

    std::mutex mutex_;
    bool taking_ = false;

private:
    static Task<void> watch(std::shared_ptr<Part> self) {
        while (!self->closed_) {
            self->watching_ = self->check();
            if (self->watching_)
                co_await self->wakeup_.wait(look_every);
            else
                co_await self->wakeup_.wait(for_ever);
        }
    }

    const Executor home_;
    Wakeup wakeup_;
    bool watching_ = false;
    bool closed_ = false;
};

/// The reads that begin on one thread.
class Reader final : public Part {
public:
    Reader(
        Executor home,
        Clock& clock,
        std::shared_ptr<SharedReads> primary,
        std::shared_ptr<SharedReads> replica
    )
        : Part(home, clock), primary_(std::move(primary)), replica_(std::move(replica)) {}

    std::string fault() const { return primary_->fault(); }
    /// From any thread.
    void post(std::shared_ptr<QueryCall> call) {
        std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        take_soon();
    }

private:
    Task<Result<void>> connect() override { return primary_->open(); }
    void run() override {
        primary_->run();
        if (replica_) replica_->run();
    }
    void close_all() override {
        primary_->close();
        if (replica_) replica_->close();
    }
    void take() override {
        std::vector<std::shared_ptr<QueryCall>> calls;
        {
            std::lock_guard lock(mutex_);
            calls.swap(calls_);
            taking_ = false;
        }
        for (auto& call : calls) {
            const bool elsewhere = call->stale && replica_ && replica_->usable();
            (elsewhere ? replica_ : primary_)->add(std::move(call));
        }
        primary_->flush();
        if (replica_) replica_->flush();
    }
    bool check() override {
        const bool busy = primary_->check();
        return (replica_ && replica_->check()) || busy;
    }

    const std::shared_ptr<SharedReads> primary_;
    const std::shared_ptr<SharedReads> replica_;  // empty: none configured
    std::vector<std::shared_ptr<QueryCall>> calls_;
};

/// The transactions of all threads.
class Writer final : public Part {
public:
    Writer(Executor home, Clock& clock, std::shared_ptr<Pool> pool)
        : Part(home, clock), pool_(std::move(pool)) {}

    std::string fault() const { return pool_->fault(); }
    /// From any thread.
    void post(std::shared_ptr<TransactCall> call) {
        std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        take_soon();
    }

private:
    Task<Result<void>> connect() override { return pool_->open(); }
    void run() override { pool_->run(); }
    void close_all() override { pool_->close(); }
    void take() override {
        std::vector<std::shared_ptr<TransactCall>> calls;
        {
            std::lock_guard lock(mutex_);
            calls.swap(calls_);
            taking_ = false;
        }
        for (auto& call : calls)
            pool_->add(std::move(call));
    }
    bool check() override { return pool_->check(); }

    const std::shared_ptr<Pool> pool_;
    std::vector<std::shared_ptr<TransactCall>> calls_;
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
    PostgresDatabase(const PostgresOptions& options, Clock& clock, Metrics& metrics)
        : clock_(clock), limit_(options.queue_limit), meters_(metrics) {}

    ~PostgresDatabase() override {
        for (const auto& census : censuses_)
            census->end();
        for (const auto& part : opened_)
            asio::post(part->home(), [part] { part->close(); });
    }

    /// Transactions live on `home`; reads on each of `readers`, for those who begin there.
    Result<void> configure(
        const PostgresOptions& options,
        Executor home,
        const std::vector<Executor>& readers,
        Metrics& metrics
    ) {
        auto target = Target::parse(options.url, options.password_file);
        if (!target) return target.error();
        std::optional<Target> replica;
        if (!options.replica_url.empty()) {
            auto other = Target::parse(options.replica_url, options.password_file);
            if (!other) return other.error();
            replica = std::move(*other);
        }
        auto writes = connector(home, options, *target, false, census(metrics, "transaction"));
        auto pool = std::make_shared<Pool>(writes, options.transactions, options.budget);
        writer_ = std::make_shared<Writer>(home, clock_, pool);
        const auto shared = census(metrics, "shared");
        const auto stale = replica ? census(metrics, "replica") : nullptr;
        for (const Executor& at : readers) {
            auto doubt = [weak = std::weak_ptr(pool), home](const Error& why) {
                asio::post(home, [weak, why] {
                    if (auto transactions = weak.lock()) transactions->doubt(why);
                });
            };
            auto primary = std::make_shared<SharedReads>(
                connector(at, options, *target, true, shared),
                limit_,
                options.statement_timeout,
                SharedReads::Elsewhere(),
                std::move(doubt)
            );
            std::shared_ptr<SharedReads> other;
            if (replica)
                other =
                    stale_reads(connector(at, options, *replica, true, stale), options, primary);
            readers_.push_back(std::make_shared<Reader>(at, clock_, primary, other));
        }
        return {};
    }

    Task<Result<void>> open() {
        auto opened = co_await open(writer_);
        for (std::size_t i = 0; opened && i < readers_.size(); ++i) {
            auto next = co_await open(readers_[i]);
            opened = std::move(next);
        }
        if (!opened) co_return opened.error();
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
        writer_->post(call);
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
        std::string words = writer_->fault();
        for (std::size_t i = 0; words.empty() && i < readers_.size(); ++i)
            words = readers_[i]->fault();
        return words;
    }

private:
    std::shared_ptr<Census> census(Metrics& metrics, std::string_view kind) {
        auto& gauge = metrics.gauge(
            "database_connections", "Open connections to PostgreSQL", {{"kind", kind}}
        );
        return censuses_.emplace_back(std::make_shared<Census>(gauge));
    }

    Task<Result<void>> open(std::shared_ptr<Part> part) {
        opened_.push_back(part);
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto call = std::make_shared<OpenCall>(signal);
        Attendance attendance(call, std::move(signal));
        spawn(part->home(), [part, call] { return Part::open(part, call); });
        bool answered = co_await attendance.wait();
        if (!answered) co_return cancelled();
        co_return call->result;
    }

    /// The one of the caller's own thread; of threads that have none, always the same.
    Reader& reader_at(const Executor& executor) {
        const asio::io_context* here = &executor.context();
        for (const auto& reader : readers_)
            if (&reader->home().context() == here) return *reader;
        return *readers_[(std::hash<const void*>()(here) >> 8) % readers_.size()];
    }

    std::shared_ptr<SharedReads> stale_reads(
        std::shared_ptr<const Connector> connector,
        const PostgresOptions& options,
        const std::shared_ptr<SharedReads>& primary
    ) {
        auto instead = [weak = std::weak_ptr(primary)](std::shared_ptr<QueryCall> call) {
            if (auto reads = weak.lock()) reads->add_now(std::move(call));
        };
        return std::make_shared<SharedReads>(
            std::move(connector),
            limit_,
            options.statement_timeout,
            std::move(instead),
            SharedReads::OnSilence()
        );
    }

    std::shared_ptr<const Connector> connector(
        const Executor& home,
        const PostgresOptions& options,
        const Target& target,
        bool reads,
        std::shared_ptr<Census> census
    ) {
        return std::make_shared<const Connector>(
            home,
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
        reader_at(executor).post(call);
        bool answered = co_await attendance.wait();
        if (!answered) co_return cancelled();
        meters_.query.observe(seconds_between(start, clock_.steady()));
        if (call->failure) std::rethrow_exception(call->failure);
        co_return std::move(call->result);
    }

    Clock& clock_;
    const std::size_t limit_;
    Meters meters_;
    std::shared_ptr<Writer> writer_;
    std::vector<std::shared_ptr<Reader>> readers_;
    std::vector<std::shared_ptr<Part>> opened_;  // something lives on their threads
    std::vector<std::shared_ptr<Census>> censuses_;
    std::atomic<std::size_t> queries_ = 0;
    std::atomic<std::size_t> transactions_ = 0;
};

}  // namespace
}  // namespace postgres

Task<Result<std::unique_ptr<Database>>> open_postgres(
    PostgresOptions options,
    Executor home,
    Clock& clock,
    Metrics& metrics,
    std::vector<Executor> readers
) {
    if (readers.empty()) readers.push_back(home);
    auto database = std::make_unique<postgres::PostgresDatabase>(options, clock, metrics);
    auto sound = database->configure(options, home, readers, metrics);
    if (!sound) co_return sound.error();
    auto opened = co_await database->open();
    if (!opened) co_return opened.error();
    std::unique_ptr<Database> ready = std::move(database);
    co_return std::move(ready);
}

}  // namespace souk::database
