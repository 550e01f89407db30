// What a database promises while processes die: the server (PostgreSQL) or the writer (SQLite).
#include "base/system_clock.hpp"
#include "contract/database_world.hpp"
#include "souk/failpoint.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"
#include "support/services.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <set>

namespace souk::test {
namespace {

/// Writes, notes what was acknowledged, goes on until told to stop.
Task<Result<void>> write_on(
    Database& database, std::int64_t first, std::set<std::int64_t>* acknowledged, bool* stop
) {
    for (std::int64_t id = first; !*stop; ++id) {
        Deadline deadline(base::system_clock(), seconds(5));
        TransactionBody body = [id](Transaction& tx) {
            return insert_thing(tx, id, fmt::format("n{}", id));
        };
        auto done = co_await database.transact(std::move(body), deadline);
        if (done) acknowledged->insert(id);
        if (done) continue;
        if (done.error().kind != ErrorKind::unavailable) co_return done.error();
        co_await base::system_clock().sleep(milliseconds(5));
    }
    co_return Result<void>();
}

/// Kills and starts the server while others write; then lets them stop.
Task<Result<void>> kill_often(
    Services& services, const std::set<std::int64_t>& acknowledged, bool* stop
) {
    for (int round = 0; round < 3; ++round) {
        const std::size_t before = acknowledged.size();
        while (acknowledged.size() < before + 50)
            co_await base::system_clock().sleep(milliseconds(1));
        services.kill(Server::postgres);
        co_await base::system_clock().sleep(milliseconds(20));
        services.start(Server::postgres);
    }
    const std::size_t before = acknowledged.size();
    while (acknowledged.size() < before + 50)
        co_await base::system_clock().sleep(milliseconds(1));
    *stop = true;
    co_return Result<void>();
}

}  // namespace

TEST_CASE("postgres: a server killed in a wave of transactions loses nothing acknowledged") {
    Services services({Server::postgres});
    database::PostgresOptions options;
    options.url = services.fresh_schema();
    options.transactions = 4;
    PostgresFixture world({schema}, base::system_clock(), options);
    std::set<std::int64_t> acknowledged;
    bool stop = false;
    asio::io_context context;
    Crowd crowd(context);
    for (std::int64_t writer = 0; writer < 16; ++writer)
        crowd.add(write_on(world.database(), writer * 1'000'000, &acknowledged, &stop));
    crowd.add(kill_often(services, acknowledged, &stop));
    crowd.run();
    for (const auto& result : crowd.results)
        CHECK(result);
    std::set<std::int64_t> found;
    // The connection that reads share comes back by itself, a moment after those that wrote.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    auto answer = ask(world.database(), select_all);
    while (!answer && std::chrono::steady_clock::now() < limit)
        answer = ask(world.database(), select_all);
    auto rows = std::move(answer).value();
    for (std::size_t i = 0; i < rows.size(); ++i)
        found.insert(rows[i].integer(0));
    CHECK(acknowledged.size() >= 200);
    for (std::int64_t id : acknowledged)
        CHECK(found.contains(id));
}

#ifdef SOUK_FAILPOINTS
namespace {

/// Writes the ids of acknowledged transactions; each is in the pipe before anything else happens.
Task<Result<void>> insert_and_tell(Database& database, std::int64_t id, int pipe) {
    TransactionBody body = [id](Transaction& tx) {
        return insert_thing(tx, id, fmt::format("n{}", id));
    };
    auto done = co_await database.transact(std::move(body), Deadline::never());
    if (done && write(pipe, &id, sizeof(id)) != sizeof(id)) _exit(3);
    co_return done;
}

/// In a process of its own: waves of transactions until the failpoint kills it.
template <class Open>
[[noreturn]] void write_until_killed(Open open, std::string point, int pipe) {
    auto database = open();
    failpoint::arm(point, "crash@4");
    for (std::int64_t wave = 0; wave < 100; ++wave) {
        asio::io_context context;
        Crowd crowd(context);
        for (std::int64_t i = 0; i < 20; ++i)
            crowd.add(insert_and_tell(*database, wave * 20 + i, pipe));
        crowd.run();
    }
    _exit(4);
}

std::set<std::int64_t> read_ids(int pipe) {
    std::set<std::int64_t> ids;
    for (std::int64_t id = 0; read(pipe, &id, sizeof(id)) == sizeof(id);)
        ids.insert(id);
    return ids;
}

}  // namespace

TEST_CASE("sqlite: a process that dies at COMMIT loses nothing acknowledged", "[database]") {
    std::string point = GENERATE("sqlite.before_commit", "sqlite.after_commit");
    SqliteFixture world({schema});
    world.close();
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        database::SqliteOptions options;
        options.file = world.file();
        auto open = [&] { return database::open_sqlite(options, world.clock()).value(); };
        write_until_killed(open, point, ends[1]);
    }
    close(ends[1]);
    auto acknowledged = read_ids(ends[0]);
    close(ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));

    world.reopen();
    std::set<std::int64_t> found;
    auto rows = ask(world.database(), select_all).value();
    for (std::size_t i = 0; i < rows.size(); ++i)
        found.insert(rows[i].integer(0));
    CHECK_FALSE(acknowledged.empty());
    for (std::int64_t id : acknowledged)
        CHECK(found.contains(id));
    // Committed, but dead before it could say so. (Before the commit, too, the batch before it may
    // be there without its writers having had the time to tell.)
    if (point == "sqlite.after_commit") CHECK(found.size() > acknowledged.size());
}
#endif

}  // namespace souk::test
