// The writer's log: what is answered lies in the files, whole, whatever was
// gathered before it.
#include "base/virtual_clock.hpp"
#include "souk/failpoint.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sqlite3.h>

namespace souk::test {
namespace {

const Migration schema{
    "0001_log", "CREATE TABLE things (id BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL)"};
constexpr Statement insert{"log.insert", "INSERT INTO things (id, name) VALUES ($1, $2)"};
constexpr Statement count{"log.count", "SELECT count(*) FROM things WHERE LENGTH(name) = 3000"};

/// More than the connection's cache holds: pages go to the log, and come back
/// from it, before the transaction ends.
Task<Result<void>> insert_many(Transaction& tx, std::int64_t from, std::int64_t rows, bool keep) {
    for (std::int64_t i = from; i < from + rows; ++i) {
        Params params = bind((i * 7919) % 100'003, std::string(3000, 'x'));
        auto inserted = co_await tx.execute(insert, std::move(params));
        if (!inserted) co_return inserted.error();
    }
    auto seen = co_await tx.execute(count);
    if (!seen) co_return seen.error();
    if ((*seen)[0].integer(0) < rows) co_return invalid("unseen", "");
    if (!keep) co_return invalid("undone", "");
    co_return Result<void>();
}

/// Nothing is read again after the last page went to the log.
Task<Result<void>> append(Transaction& tx) {
    for (std::int64_t i = 300'000; i < 300'900; ++i) {
        Params params = bind(i, std::string(3000, 'z'));
        auto inserted = co_await tx.execute(insert, std::move(params));
        if (!inserted) co_return inserted.error();
    }
    co_return Result<void>();
}

Result<void> write(Database& database, std::int64_t from, std::int64_t rows, bool keep = true) {
    TransactionBody body = [=](Transaction& tx) { return insert_many(tx, from, rows, keep); };
    return run_task(database.transact(std::move(body), Deadline::never()));
}

std::int64_t things(Database& database) {
    return run_task(database.query(count, {}, Deadline::never())).value()[0].integer(0);
}

/// What would be found after the process died now: the files as they are,
/// opened elsewhere.
std::int64_t things_in_copy(const std::filesystem::path& file) {
    TemporaryFolder folder;
    database::SqliteOptions options;
    options.file = folder.path() / "copy.db";
    std::filesystem::copy_file(file, options.file);
    std::filesystem::copy_file(file.string() + "-wal", options.file.string() + "-wal");
    auto opened = database::open_sqlite(options, base::system_clock());
    return things(**opened);
}

/// Another process with the file open for writing, as a successor has at a takeover.
class Other {
public:
    explicit Other(const std::filesystem::path& file) {
        REQUIRE(sqlite3_open(file.c_str(), &db_) == SQLITE_OK);
        say("PRAGMA wal_autocheckpoint = 0");
    }
    ~Other() { sqlite3_close(db_); }
    Other(const Other&) = delete;
    void say(const std::string& sql) {
        REQUIRE(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    }

private:
    sqlite3* db_ = nullptr;
};

}  // namespace

TEST_CASE("sqlite log: what was undone is not written over what another process commits then") {
    SqliteFixture world({schema});
    REQUIRE(write(world.database(), 0, 10));
    world.reopen();  // the log is empty: what a rollback reads again lies in the file
    Other other(world.file());
    failpoint::arm("sqlite.before_commit", "error");
    CHECK_FALSE(run_task(world.database().transact(append, Deadline::never())));
    failpoint::arm("sqlite.before_commit", "off");
    for (int i = 0; i < 1000; ++i)
        other.say(fmt::format("INSERT INTO things VALUES ({}, printf('%.3000c', 'y'))", 200'000 + i)
        );
    CHECK(things_in_copy(world.file()) == 1010);
    CHECK(things(world.database()) == 1010);
    REQUIRE(write(world.database(), 5000, 1));
    CHECK(things_in_copy(world.file()) == 1011);
}

TEST_CASE("sqlite log: what is answered is in the files") {
    SqliteFixture world({schema});
    std::int64_t sum = 0;
    for (const std::int64_t rows : {1, 2, 30, 700, 1, 3}) {
        REQUIRE(write(world.database(), sum, rows));
        sum += rows;
        CHECK(things(world.database()) == sum);
        CHECK(things_in_copy(world.file()) == sum);
    }
}

TEST_CASE(
    "sqlite log: what was undone leaves nothing that a later commit "
    "could show"
) {
    SqliteFixture world({schema});
    REQUIRE(write(world.database(), 0, 10));
    CHECK_FALSE(write(world.database(), 10, 900, false));
    CHECK_FALSE(write(world.database(), 10, 20, false));
    REQUIRE(write(world.database(), 5000, 5));
    CHECK(things(world.database()) == 15);
    CHECK(things_in_copy(world.file()) == 15);
}

}  // namespace souk::test
