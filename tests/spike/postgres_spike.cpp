// A spike, not a driver: PostgreSQL pipelining put through the `Database` port before the port was
// fixed, to see that reads of many requests fit on one connection, that a transaction body is one
// coroutine for both databases, and what a pipeline of writes costs. Figures: src/README.md.
//   postgres_spike "host=/tmp port=5433 dbname=postgres"
#include "base/signal.hpp"
#include "base/system_clock.hpp"
#include "souk/database.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <deque>
#include <set>
#include <string>

namespace souk::spike {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

struct Reply {
    explicit Reply(std::shared_ptr<base::Signal> signal) : signal(std::move(signal)) {}
    std::shared_ptr<base::Signal> signal;
    Result<Rows> rows{Rows()};
};

Rows copy_rows(const PGresult* result) {
    Rows rows;
    const int columns = PQnfields(result);
    rows.start(static_cast<std::size_t>(columns));
    for (int row = 0; row < PQntuples(result); ++row)
        for (int column = 0; column < columns; ++column) {
            const std::string_view text(
                PQgetvalue(result, row, column),
                static_cast<std::size_t>(PQgetlength(result, row, column))
            );
            constexpr Oid int4 = 23, int8 = 20;
            const Oid type = PQftype(result, column);
            if (PQgetisnull(result, row, column)) {
                rows.add_null();
            } else if (type == int8 || type == int4) {
                std::int64_t value = 0;
                std::from_chars(text.data(), text.data() + text.size(), value);
                rows.add_integer(value);
            } else {
                rows.add_text(text);
            }
        }
    const char* affected = PQcmdTuples(const_cast<PGresult*>(result));
    rows.set_affected(*affected == '\0' ? 0 : std::stoll(affected));
    return rows;
}

Result<Rows> read_result(const PGresult* result) {
    const auto status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return copy_rows(result);
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != nullptr && std::string_view(state) == "23505")
        return conflict("unique_violation", PQresultErrorMessage(result));
    if (state != nullptr && std::string_view(state) == "23514")
        return conflict("check_violation", PQresultErrorMessage(result));
    return unavailable("database", PQresultErrorMessage(result));
}

/// One connection in pipeline mode: any number of statements in flight, a Sync each.
class Connection {
public:
    Connection(Executor executor, const char* conninfo)
        : executor_(executor), pg_(PQconnectdb(conninfo)), socket_(executor) {
        if (PQstatus(pg_) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(pg_));
        PQsetnonblocking(pg_, 1);
        PQenterPipelineMode(pg_);
        socket_.assign(PQsocket(pg_));
        asio::co_spawn(executor_, read_loop(), asio::detached);
    }

    /// Queues a statement; `sync` ends an implicit transaction with it.
    std::shared_ptr<Reply> send(const Statement& statement, const Params& params, bool sync) {
        prepare(statement);
        std::vector<std::string> texts;
        std::vector<const char*> values;
        texts.reserve(params.size());
        for (const Value& value : params) {
            if (std::holds_alternative<std::monostate>(value)) {
                values.push_back(nullptr);
                continue;
            }
            const auto* integer = std::get_if<std::int64_t>(&value);
            texts.push_back(integer ? std::to_string(*integer) : std::get<std::string>(value));
            values.push_back(texts.back().c_str());
        }
        PQsendQueryPrepared(
            pg_,
            std::string(statement.name).c_str(),
            static_cast<int>(values.size()),
            values.data(),
            nullptr,
            nullptr,
            0
        );
        auto reply = std::make_shared<Reply>(base::Signal::make(executor_));
        waiting_.push_back(reply);
        if (sync) PQpipelineSync(pg_);
        ++statements;
        return reply;
    }

    /// One write per turn of the loop, however many statements were queued in it.
    void flush_soon() {
        if (flushing_) return;
        flushing_ = true;
        asio::post(executor_, [this] {
            flushing_ = false;
            ++flushes;
            PQflush(pg_);
        });
    }

    Executor executor() const { return executor_; }

    std::int64_t statements = 0;
    std::int64_t flushes = 0;

private:
    void prepare(const Statement& statement) {
        if (!prepared_.insert(std::string(statement.name)).second) return;
        const auto sql = statement.postgres.empty() ? statement.sql : statement.postgres;
        const std::string name(statement.name);
        PQsendPrepare(pg_, name.c_str(), std::string(sql).c_str(), 0, nullptr);
        waiting_.push_back(nullptr);
    }

    Task<void> read_loop() {
        for (;;) {
            co_await socket_.async_wait(Descriptor::wait_read, use_task);
            if (PQconsumeInput(pg_) == 0) throw std::runtime_error(PQerrorMessage(pg_));
            PQflush(pg_);
            take_results();
        }
    }

    void take_results() {
        while (PQisBusy(pg_) == 0) {
            PGresult* result = PQgetResult(pg_);
            if (result == nullptr) {
                if (waiting_.empty()) return;
                continue;  // the end of one statement's results
            }
            if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
                auto reply = std::move(waiting_.front());
                waiting_.pop_front();
                if (reply) {
                    reply->rows = read_result(result);
                    reply->signal->set();
                } else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
                    throw std::runtime_error(PQresultErrorMessage(result));
                }
            }
            PQclear(result);
        }
    }

    Executor executor_;
    PGconn* pg_;
    Descriptor socket_;
    std::deque<std::shared_ptr<Reply>> waiting_;
    std::set<std::string> prepared_;
    bool flushing_ = false;
};

class PgTransaction : public Transaction {
public:
    explicit PgTransaction(Connection& connection) : connection_(connection) {}

    Task<Result<Rows>> execute(const Statement& statement, Params params) override {
        auto reply = connection_.send(statement, params, true);
        connection_.flush_soon();
        co_await reply->signal->wait();
        co_return std::move(reply->rows);
    }

    Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) override {
        std::vector<std::shared_ptr<Reply>> replies;
        for (std::size_t i = 0; i < params.size(); ++i)
            replies.push_back(connection_.send(statement, params[i], i + 1 == params.size()));
        connection_.flush_soon();
        std::vector<Rows> rows;
        for (auto& reply : replies) {
            co_await reply->signal->wait();
            if (!reply->rows) co_return reply->rows.error();
            rows.push_back(std::move(*reply->rows));
        }
        co_return rows;
    }

private:
    Connection& connection_;
};

inline constexpr Statement begin{"spike.begin", "BEGIN"};
inline constexpr Statement commit{"spike.commit", "COMMIT"};
inline constexpr Statement rollback{"spike.rollback", "ROLLBACK"};

/// Reads share `reads`; a transaction owns one of `writes` while it runs.
class PgDatabase : public Database {
public:
    PgDatabase(Executor executor, const char* conninfo, int writers) : reads_(executor, conninfo) {
        for (int i = 0; i < writers; ++i) {
            writers_.push_back(std::make_unique<Connection>(executor, conninfo));
            free_.push_back(writers_.back().get());
        }
    }

    Task<Result<Rows>> query(const Statement& statement, Params params, Deadline) override {
        auto reply = reads_.send(statement, params, true);
        reads_.flush_soon();
        co_await reply->signal->wait();
        co_return std::move(reply->rows);
    }

    Task<Result<void>> transact(TransactionBody body, Deadline) override {
        Connection* connection = co_await acquire();
        PgTransaction tx(*connection);
        connection->send(begin, Params(), false);  // travels with the first statement
        auto done = co_await body(tx);
        auto ended = connection->send(done ? commit : rollback, Params(), true);
        connection->flush_soon();
        co_await ended->signal->wait();
        release(connection);
        if (done && !ended->rows) co_return ended->rows.error();
        co_return done;
    }

    Dialect dialect() const override { return Dialect::postgres; }
    std::int64_t flushes() const { return reads_.flushes; }

private:
    Task<Connection*> acquire() {
        while (free_.empty()) {
            auto signal = base::Signal::make(reads_.executor());
            queue_.push_back(signal);
            co_await signal->wait();
        }
        Connection* connection = free_.back();
        free_.pop_back();
        co_return connection;
    }

    void release(Connection* connection) {
        free_.push_back(connection);
        if (queue_.empty()) return;
        queue_.front()->set();
        queue_.pop_front();
    }

    Connection reads_;
    std::vector<std::unique_ptr<Connection>> writers_;
    std::vector<Connection*> free_;
    std::deque<std::shared_ptr<base::Signal>> queue_;
};

inline constexpr Statement make_table{
    "spike.make",
    "CREATE TABLE IF NOT EXISTS spike (id TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0))"};
inline constexpr Statement empty_table{"spike.empty", "DELETE FROM spike"};
inline constexpr Statement insert{"spike.insert", "INSERT INTO spike (id, n) VALUES ($1, $2)"};
inline constexpr Statement take{
    "spike.take", "UPDATE spike SET n = n - $2 WHERE id = $1 AND n >= $2 RETURNING n"};
inline constexpr Statement read_one{"spike.read", "SELECT id, n FROM spike WHERE id = $1"};
inline constexpr Statement make_outbox{
    "spike.make_outbox",
    "CREATE TABLE IF NOT EXISTS spike_outbox (id BIGINT GENERATED ALWAYS AS IDENTITY, data TEXT)"};
inline constexpr Statement append{"spike.append", "INSERT INTO spike_outbox (data) VALUES ($1)"};

struct Counts {
    int left = 0;
    std::int64_t done = 0;
    std::int64_t refused = 0;
};

Task<void> reader(Database& database, int times, Counts& counts) {
    for (int i = 0; i < times; ++i) {
        auto rows = co_await database.query(
            read_one, bind("prd_" + std::to_string(i % 100)), Deadline::never()
        );
        if (rows && rows->size() == 1) ++counts.done;
    }
    --counts.left;
}

Task<void> buyer(Database& database, int times, Counts& counts) {
    for (int i = 0; i < times; ++i) {
        const TransactionBody body = [&](Transaction& tx) -> Task<Result<void>> {
            std::vector<Params> lines;
            for (int line = 0; line < 3; ++line)
                lines.push_back(bind("prd_" + std::to_string((i + line) % 100), 1));
            std::sort(lines.begin(), lines.end());  // one order of locks for everyone
            auto taken = co_await tx.execute_all(take, std::move(lines));
            if (!taken) co_return taken.error();
            for (const Rows& rows : *taken)
                if (rows.affected() == 0) co_return conflict("out_of_stock", "none left");
            auto appended = co_await tx.execute(append, bind("{}"));
            if (!appended) co_return appended.error();
            co_return Result<void>();
        };
        auto done = co_await database.transact(body, Deadline::never());
        ++(done ? counts.done : counts.refused);
    }
    --counts.left;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Task<void> prepare_data(Database& database) {
    const TransactionBody body = [](Transaction& tx) -> Task<Result<void>> {
        co_await tx.execute(make_table, Params());
        co_await tx.execute(make_outbox, Params());
        co_await tx.execute(empty_table, Params());
        std::vector<Params> rows;
        for (int i = 0; i < 100; ++i)
            rows.push_back(bind("prd_" + std::to_string(i), 1'000'000));
        auto inserted = co_await tx.execute_all(insert, std::move(rows));
        if (!inserted) co_return inserted.error();
        co_return Result<void>();
    };
    auto done = co_await database.transact(body, Deadline::never());
    if (!done) throw Failure(done.error());
}

Task<void> measure(PgDatabase& database, asio::io_context& context) {
    co_await prepare_data(database);
    constexpr int coroutines = 64, reads = 1000, orders = 100;
    Counts counts;
    counts.left = coroutines;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < coroutines; ++i)
        asio::co_spawn(context, reader(database, reads, counts), asio::detached);
    while (counts.left > 0)
        co_await base::system_clock().sleep(milliseconds(1));
    fmt::print(
        "reads: {} right in {:.2f} s: {:.0f}/s on one connection, {:.1f} statements a write()\n",
        counts.done,
        seconds_since(start),
        counts.done / seconds_since(start),
        static_cast<double>(counts.done) / static_cast<double>(database.flushes())
    );
    counts = Counts();
    counts.left = coroutines;
    start = std::chrono::steady_clock::now();
    for (int i = 0; i < coroutines; ++i)
        asio::co_spawn(context, buyer(database, orders, counts), asio::detached);
    while (counts.left > 0)
        co_await base::system_clock().sleep(milliseconds(1));
    fmt::print(
        "transactions of 3 guarded updates and an insert: {} committed, {} refused: {:.0f}/s\n",
        counts.done,
        counts.refused,
        counts.done / seconds_since(start)
    );
    context.stop();
}

}  // namespace souk::spike

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: postgres_spike CONNINFO\n");
        return 2;
    }
    boost::asio::io_context context(1);
    souk::spike::PgDatabase database(context.get_executor(), argv[1], 8);
    boost::asio::co_spawn(context, souk::spike::measure(database, context), boost::asio::detached);
    context.run();
}
