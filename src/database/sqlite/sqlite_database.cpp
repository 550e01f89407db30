// Why SQLite 3.40.1 is safe here although sqlite.org describes a data race in write-ahead logging
// from 3.7.0 to 3.51.2 ("the WAL-reset bug", sqlite.org/wal.html, fixed in 3.51.3, not in Debian
// 12's package). By its account it takes two or more connections to the same file, in different
// threads or processes, that write or checkpoint at the same time: one connection completes a
// checkpoint, a second checkpoint starts at once, and while that starts ANOTHER connection commits
// a transaction that resets the log and writes it anew from its beginning; the checkpoint does not
// notice and marks frames as moved that were not, so that a later checkpoint skips them.
//
// Here one connection, on one thread, commits and checkpoints, so a checkpoint and a commit cannot
// overlap. The others are `query_only`, have no automatic checkpoint and none on close
// (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE), and are closed before the writer, whose close is the last
// checkpoint. The writer opens first, so recovery after a crash is its own too. What is left is
// another process on the same file: the host holds a lock on the data folder, and README.md forbids
// `sqlite3` in write mode and Litestream beside a running shop. (Argued from the description; the
// race has not been reproduced here.)
#include "database/sqlite/sqlite_database.hpp"

#include "database/sqlite/readers.hpp"
#include "database/sqlite/writer.hpp"

#include <algorithm>

namespace souk::database {
namespace {

using Connections = std::vector<std::unique_ptr<Connection>>;

class SqliteDatabase final : public Database {
public:
    SqliteDatabase(
        std::unique_ptr<Connection> writer,
        Connections readers,
        const SqliteOptions& options,
        const Clock& clock
    )
        : writer_(
              std::move(writer),
              WriterOptions{
                  options.queue_limit, options.transactions_per_commit, options.committed},
              clock
          )
        , readers_(std::move(readers), options.queue_limit, clock) {}

    ~SqliteDatabase() override {
        readers_.stop();  // before the writer: closing the last connection checkpoints
        writer_.stop();
    }

    Task<Result<Rows>> query(const Statement& statement, Params params, Deadline deadline)
        override {
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto request =
            std::make_shared<QueryRequest>(signal, statement, std::move(params), deadline);
        Attendance attendance(request, std::move(signal));
        if (auto queued = readers_.enqueue(request); !queued) co_return queued.error();
        bool answered = co_await attendance.wait();
        if (!answered) co_return cancelled();
        if (request->failure) std::rethrow_exception(request->failure);
        co_return std::move(request->result);
    }

    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        Executor executor = co_await this_executor();
        auto signal = base::Signal::make(executor);
        auto request = std::make_shared<TransactRequest>(signal, std::move(body), deadline);
        Attendance attendance(request, std::move(signal));
        if (auto queued = writer_.enqueue(request); !queued) co_return queued.error();
        bool answered = co_await attendance.wait();
        if (!answered) {
            if (!request->leave()) co_return cancelled();
            co_return unavailable("commit_unknown", "the caller left before the answer came");
        }
        if (request->failure) std::rethrow_exception(request->failure);
        co_return std::move(request->result);
    }

    Dialect dialect() const override { return Dialect::sqlite; }

private:
    static Error cancelled() {
        return Error(ErrorKind::timeout, "cancelled", "the caller no longer waits");
    }

    Writer writer_;
    Readers readers_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(SqliteOptions options, const Clock& clock) {
    auto writer = Connection::open(options.file, Role::writer);
    if (!writer) return writer.error();
    Connections readers;
    for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
        auto reader = Connection::open(options.file, Role::reader);
        if (!reader) return reader.error();
        readers.push_back(std::move(*reader));
    }
    return std::make_unique<SqliteDatabase>(std::move(*writer), std::move(readers), options, clock);
}

}  // namespace souk::database
