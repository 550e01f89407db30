// What is SQLite's own: group commit, the bounded queue, the writer's guards, how files are opened.
#include "base/virtual_clock.hpp"
#include "souk/failpoint.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

namespace souk::test {
namespace {

const Migration schema{
    "0001_sqlite",
    "CREATE TABLE parents (id BIGINT PRIMARY KEY NOT NULL);"
    "CREATE TABLE things (id BIGINT PRIMARY KEY NOT NULL, name TEXT, parent BIGINT REFERENCES "
    "parents (id) DEFERRABLE INITIALLY DEFERRED);"};

constexpr Statement insert{"sqlite.insert", "INSERT INTO things (id, name) VALUES ($1, $2)"};
constexpr Statement insert_child{
    "sqlite.insert_child", "INSERT INTO things (id, parent) VALUES ($1, $2)"};
constexpr Statement count{"sqlite.count", "SELECT count(*) FROM things"};
constexpr Statement one_name{"sqlite.twice", "SELECT 1"};
constexpr Statement same_name{"sqlite.twice", "SELECT 2"};
constexpr Statement two_statements{"sqlite.two", "SELECT 1; DELETE FROM things"};
constexpr Statement endless{
    "sqlite.endless",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"};

Task<Result<void>> insert_thing(Transaction& tx, std::int64_t id) {
    Params params = bind(id, "a thing");
    auto rows = co_await tx.execute(insert, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<void>> insert_orphan(Transaction& tx, std::int64_t id) {
    Params params = bind(id, 404);
    auto rows = co_await tx.execute(insert_child, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Result<void> transact(Database& database, TransactionBody body) {
    return run_task(database.transact(std::move(body), Deadline::never()));
}

Result<Rows> ask(Database& database, const Statement& statement) {
    return run_task(database.query(statement, {}, Deadline::never()));
}

std::int64_t things(Database& database) {
    return ask(database, count).value()[0].integer(0);
}

/// Keeps the writer busy until it is let go.
class Blocker {
public:
    explicit Blocker(Database& database)
        : thread_([this, &database] {
            TransactionBody body = [this](Transaction& tx) {
                begun_.set_value();
                go_.get_future().wait();
                return insert_thing(tx, -1);
            };
            done_ = transact(database, std::move(body)).has_value();
        }) {
        begun_.get_future().wait();
    }
    ~Blocker() { release(); }
    bool release() {
        if (!thread_.joinable()) return done_;
        go_.set_value();
        thread_.join();
        return done_;
    }

private:
    std::promise<void> begun_;
    std::promise<void> go_;
    bool done_ = false;
    std::thread thread_;
};

/// Starts transactions without waiting for them.
class Waiting {
public:
    void insert_into(Database& database, std::int64_t id) {
        TransactionBody body = [id](Transaction& tx) { return insert_thing(tx, id); };
        add(database.transact(std::move(body), Deadline::never()));
    }
    void add(Task<Result<void>> task) {
        std::size_t index = results.size();
        results.emplace_back();
        auto ended = [this, index](std::exception_ptr failure, Result<void> result) {
            results[index] = failure ? Result<void>(invalid("thrown", "")) : std::move(result);
        };
        asio::co_spawn(context, std::move(task), std::move(ended));
        context.poll();
    }
    asio::io_context context;
    std::vector<Result<void>> results;
};

}  // namespace

TEST_CASE("sqlite: transactions that wait share a COMMIT") {
    std::vector<std::size_t> commits;
    database::SqliteOptions options;
    options.transactions_per_commit = 40;
    options.committed = [&](std::size_t n) { commits.push_back(n); };
    SqliteFixture world({schema}, base::system_clock(), options);
    Blocker blocker(world.database());
    commits.clear();
    Waiting waiting;
    for (int i = 0; i < 99; ++i)
        waiting.insert_into(world.database(), i);
    CHECK(blocker.release());
    waiting.context.run();
    for (const auto& result : waiting.results)
        CHECK(result);
    world.close();
    // The blocker's transaction and 99, unless the batch ended early because it was slow.
    CHECK(commits.size() >= 3);
    CHECK(commits.size() < 20);
    CHECK(*std::max_element(commits.begin(), commits.end()) <= 40);
}

TEST_CASE("sqlite: the queue is bounded") {
    database::SqliteOptions options;
    options.queue_limit = 3;
    SqliteFixture world({schema}, base::system_clock(), options);
    Blocker blocker(world.database());
    Waiting waiting;
    for (int i = 0; i < 4; ++i)
        waiting.insert_into(world.database(), i);
    CHECK(waiting.results[3].error().code == "busy");
    CHECK(waiting.results[3].error().kind == ErrorKind::unavailable);
    CHECK(waiting.results[3].error().retry_after_s > 0);
    blocker.release();
    waiting.context.run();
    CHECK(waiting.results[2]);
    CHECK(things(world.database()) == 4);
}

TEST_CASE("sqlite: a deadline that passes in the queue ends as timeout") {
    base::VirtualClock clock;
    SqliteFixture world({schema}, clock);
    Blocker blocker(world.database());
    Waiting waiting;
    TransactionBody body = [](Transaction& tx) { return insert_thing(tx, 1); };
    waiting.add(world.database().transact(body, Deadline(clock, seconds(1))));
    waiting.add(world.database().transact(body, Deadline(clock, seconds(3))));
    clock.advance(seconds(2));
    blocker.release();
    waiting.context.run();
    CHECK(waiting.results[0].error().kind == ErrorKind::timeout);
    CHECK(waiting.results[1]);
}

TEST_CASE("sqlite: who left before it began has no effect") {
    SqliteFixture world({schema});
    Blocker blocker(world.database());
    {
        Waiting waiting;
        for (int i = 0; i < 10; ++i)
            waiting.insert_into(world.database(), i);
    }
    CHECK(blocker.release());
    CHECK(things(world.database()) == 1);
}

TEST_CASE("sqlite: closing answers those who wait") {
    SqliteFixture world({schema});
    Waiting waiting;
    std::thread closing;
    {
        Blocker blocker(world.database());
        for (int i = 0; i < 5; ++i)
            waiting.insert_into(world.database(), i);
        closing = std::thread([&] { world.close(); });
        waiting.context.run();
        for (const auto& result : waiting.results)
            CHECK(result.error().code == "stopping");
        CHECK(blocker.release());
    }
    closing.join();
}

namespace {

Task<Result<void>> wait_for_nothing(Transaction& tx, std::shared_ptr<int> alive) {
    auto inserted = co_await insert_thing(tx, 1);
    if (!inserted) co_return inserted.error();
    Executor executor = co_await this_executor();
    asio::steady_timer::rebind_executor<Executor>::other timer(executor, std::chrono::hours(1));
    co_await timer.async_wait(use_task);
    ++*alive;
    co_return co_await insert_thing(tx, 2);
}

Task<Result<void>> nested(Database& database, Transaction&) {
    TransactionBody inner = [](Transaction& tx) { return insert_thing(tx, 3); };
    co_return co_await database.transact(std::move(inner), Deadline::never());
}

}  // namespace

TEST_CASE("sqlite: a body that awaits something else fails loudly and alone") {
    SqliteFixture world({schema});
    Database& database = world.database();
    auto alive = std::make_shared<int>(0);
    TransactionBody waits = [&](Transaction& tx) { return wait_for_nothing(tx, alive); };
    CHECK_THROWS_AS(transact(database, waits), std::logic_error);
    CHECK(*alive == 0);
    TransactionBody nests = [&](Transaction& tx) { return nested(database, tx); };
    CHECK_THROWS_AS(transact(database, nests), std::logic_error);
    CHECK(transact(database, [](Transaction& tx) { return insert_thing(tx, 9); }));
    CHECK(things(database) == 1);
}

TEST_CASE("sqlite: a deferred foreign key fails its own body only") {
    SqliteFixture world({schema});
    Blocker blocker(world.database());
    Waiting waiting;
    waiting.insert_into(world.database(), 1);
    TransactionBody orphan = [](Transaction& tx) { return insert_orphan(tx, 2); };
    waiting.add(world.database().transact(std::move(orphan), Deadline::never()));
    waiting.insert_into(world.database(), 3);
    blocker.release();
    waiting.context.run();
    CHECK(waiting.results[0]);
    CHECK(waiting.results[1].error().code == "foreign_key_violation");
    CHECK(waiting.results[2]);
    CHECK(things(world.database()) == 3);
}

namespace {

constexpr Statement few_pages{"sqlite.few_pages", "PRAGMA max_page_count = 60"};
constexpr Statement many_pages{"sqlite.many_pages", "PRAGMA max_page_count = 100000"};

Task<Result<void>> limit_pages(Transaction& tx, Statement limit) {
    auto rows = co_await tx.execute(limit);
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<void>> insert_large(Transaction& tx, std::int64_t id) {
    Params params = bind(id, std::string(20'000, 'x'));
    auto rows = co_await tx.execute(insert, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

}  // namespace

TEST_CASE("sqlite: a full disk is told to all whom it hits, and passes") {
    SqliteFixture world({schema});
    Database& database = world.database();
    REQUIRE(transact(database, [](Transaction& tx) { return limit_pages(tx, few_pages); }));
    Blocker blocker(database);
    Waiting waiting;
    for (int i = 0; i < 30; ++i) {
        TransactionBody body = [i](Transaction& tx) { return insert_large(tx, i); };
        waiting.add(database.transact(std::move(body), Deadline::never()));
    }
    std::int64_t succeeded = blocker.release() ? 1 : 0;
    waiting.context.run();
    for (const auto& result : waiting.results) {
        if (result) ++succeeded;
        if (!result) CHECK(result.error().kind == ErrorKind::unavailable);
    }
    CHECK(succeeded < 31);
    CHECK(things(database) == succeeded);
    REQUIRE(transact(database, [](Transaction& tx) { return limit_pages(tx, many_pages); }));
    CHECK(transact(database, [](Transaction& tx) { return insert_large(tx, 100); }));
}

#ifdef SOUK_FAILPOINTS
TEST_CASE("sqlite: when COMMIT fails, nobody is told success") {
    SqliteFixture world({schema});
    Blocker blocker(world.database());
    Waiting waiting;
    for (int i = 0; i < 5; ++i)
        waiting.insert_into(world.database(), i);
    failpoint::arm("sqlite.before_commit", "error");
    CHECK_FALSE(blocker.release());
    waiting.context.run();
    failpoint::arm("sqlite.before_commit", "off");
    for (const auto& result : waiting.results) {
        CHECK(result.error().kind == ErrorKind::unavailable);
        CHECK(result.error().code == "commit_unknown");
    }
    CHECK(things(world.database()) == 0);
}
#endif

TEST_CASE("sqlite: a name stands for one statement, a statement for one") {
    SqliteFixture world;
    CHECK(ask(world.database(), one_name));
    CHECK_THROWS_AS(ask(world.database(), same_name), std::logic_error);
    CHECK(ask(world.database(), two_statements).error().code == "sql_error");
}

TEST_CASE("sqlite: an endless read ends at its deadline") {
    SqliteFixture world;
    Deadline deadline(world.clock(), milliseconds(20));
    auto rows = run_task(world.database().query(endless, {}, deadline));
    CHECK(rows.error().kind == ErrorKind::timeout);
    CHECK(ask(world.database(), one_name));
}

TEST_CASE("sqlite: the log does not grow for ever and files are private") {
    SqliteFixture world({schema});
    for (int wave = 0; wave < 60; ++wave) {
        TransactionBody body = [wave](Transaction& tx) -> Task<Result<void>> {
            for (int i = 0; i < 20; ++i) {
                Params params = bind(wave * 20 + i, std::string(20'000, 'x'));
                auto rows = co_await tx.execute(insert, std::move(params));
                if (!rows) co_return rows.error();
            }
            co_return Result<void>();
        };
        REQUIRE(transact(world.database(), body));
    }
    auto mode = [](const std::string& path) {
        struct stat status {};
        REQUIRE(stat(path.c_str(), &status) == 0);
        return status.st_mode & 0777;
    };
    std::string file = world.file().string();
    CHECK(std::filesystem::file_size(file + "-wal") < 16'000'000);  // of 24 MB written
    CHECK(mode(file) == 0600);
    CHECK(mode(file + "-wal") == 0600);
    CHECK(mode(file + "-shm") == 0600);
    world.close();
    CHECK_FALSE(std::filesystem::exists(file + "-wal"));
}

TEST_CASE("sqlite: what cannot be opened says why") {
    TemporaryFolder folder;
    auto fault = [&](const std::filesystem::path& file) {
        database::SqliteOptions options;
        options.file = file;
        auto opened = database::open_sqlite(options, base::system_clock());
        REQUIRE_FALSE(opened);
        CHECK(opened.error().kind == ErrorKind::unavailable);
        CHECK(opened.error().code == "database_open");
        return opened.error().detail;
    };
    CHECK_THAT(fault(folder.path() / "none" / "a.db"), Catch::Contains("folder does not exist"));
    CHECK_THAT(fault(folder.path()), Catch::Contains("it is a folder"));
    std::ofstream(folder.path() / "text.db") << std::string(5000, 'x');
    CHECK_THAT(fault(folder.path() / "text.db"), Catch::Contains("not a SQLite database"));
    if (geteuid() == 0) return;  // root may write everywhere
    std::ofstream(folder.path() / "locked.db") << "";
    chmod((folder.path() / "locked.db").c_str(), 0);
    CHECK_THAT(fault(folder.path() / "locked.db"), Catch::Contains("no permission"));
}

}  // namespace souk::test
