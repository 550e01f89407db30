// What only PostgreSQL has on the way of transact(): connections of their own, runs again.
#include "postgres_world.hpp"

#include <fmt/format.h>

#include <atomic>
#include <set>

namespace souk::test {
namespace {

constexpr Statement backend{"test.backend", "SELECT pg_backend_pid() FROM pg_sleep(0.02)"};
constexpr Statement insert{"test.insert", "INSERT INTO t (id, n) VALUES ($1, $2)"};
constexpr Statement add{"test.add", "UPDATE t SET n = n + 1 WHERE id = $1"};
constexpr Statement n_of{"test.n", "SELECT n FROM t WHERE id = $1"};
constexpr Statement rows{"test.rows", "SELECT count(*) FROM t"};
constexpr Statement serializable{
    "test.serializable", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"};
constexpr Statement kill_self{"test.kill", "SELECT pg_terminate_backend(pg_backend_pid())"};
constexpr Statement lock_key{
    "test.lock", "SELECT count(*) FROM (SELECT pg_advisory_xact_lock($1)) AS locked"};

const Migration table{"0001_t", "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"};

std::int64_t number(Database& database, const Statement& statement, Params params = {}) {
    return read(database, statement, std::move(params)).value()[0].integer(0);
}

Task<Result<void>> run_statement(Transaction& tx, Statement statement, Params params) {
    auto done = co_await tx.execute(statement, std::move(params));
    if (!done) co_return done.error();
    co_return Result<void>();
}

/// Where bodies wait for each other, by statements alone; each run of a body comes once.
class Meeting {
public:
    explicit Meeting(int wanted) : wanted_(wanted) {}
    Task<Result<void>> wait(Transaction& tx) {
        constexpr Statement pause{"test.pause", "SELECT 1 FROM pg_sleep(0.01)"};
        ++come_;
        while (come_ < wanted_) {
            auto paused = co_await run_statement(tx, pause, {});
            if (!paused) co_return paused.error();
        }
        co_return Result<void>();
    }
    int come() const { return come_; }

private:
    const int wanted_;
    std::atomic<int> come_ = 0;
};

/// Two rows in this order; the second when everybody has his first.
Task<Result<void>> add_both(Transaction& tx, int first, int second, Meeting* meeting) {
    auto one = co_await run_statement(tx, add, bind(first));
    if (!one) co_return one.error();
    auto met = co_await meeting->wait(tx);
    if (!met) co_return met.error();
    co_return co_await run_statement(tx, add, bind(second));
}

/// Reads a sum, then writes by it: a write skew unless the server refuses one of two.
Task<Result<void>> skew(Transaction& tx, int mine, Meeting* meeting) {
    auto strict = co_await run_statement(tx, serializable, {});
    if (!strict) co_return strict.error();
    constexpr Statement sum{"test.sum", "SELECT sum(n) FROM t"};
    auto all = co_await tx.execute(sum);
    if (!all) co_return all.error();
    auto met = co_await meeting->wait(tx);
    if (!met) co_return met.error();
    if ((*all)[0].integer(0) > 0) co_return conflict("taken", "the other was first");
    co_return co_await run_statement(tx, add, bind(mine));
}

Task<Result<void>> run_last(Transaction& tx, Statement statement, Params params, int* hooks) {
    tx.after_commit([hooks] { ++*hooks; });
    auto done = co_await tx.execute_last(statement, std::move(params));
    if (!done) co_return done.error();
    co_return Result<void>();
}

Task<Result<void>> die_once(Transaction& tx, int* runs) {
    auto inserted = co_await run_statement(tx, insert, bind(1, 1));
    if (!inserted) co_return inserted.error();
    if (++*runs > 1) co_return Result<void>();
    co_return co_await run_statement(tx, kill_self, {});
}

}  // namespace

TEST_CASE("postgres: two bodies that lock in opposite order both succeed") {
    PostgresFixture world({table}, base::system_clock(), options_with(2));
    auto& database = world.database();
    REQUIRE(write(database, insert, bind(1, 0)));
    REQUIRE(write(database, insert, bind(2, 0)));
    Meeting meeting(2);
    Wave<void> wave;
    for (int mine : {1, 2}) {
        TransactionBody body = [mine, &meeting](Transaction& tx) {
            return add_both(tx, mine, 3 - mine, &meeting);
        };
        wave.add(database.transact(std::move(body), Deadline::never()));
    }
    wave.run();
    CHECK(wave.results[0]);
    CHECK(wave.results[1]);
    CHECK(meeting.come() > 2);  // one of them lost, and ran again
    CHECK(number(database, n_of, bind(1)) == 2);
    CHECK(number(database, n_of, bind(2)) == 2);
}

TEST_CASE("postgres: a body that lost a serialization runs again") {
    PostgresFixture world({table}, base::system_clock(), options_with(2));
    auto& database = world.database();
    REQUIRE(write(database, insert, bind(1, 0)));
    REQUIRE(write(database, insert, bind(2, 0)));
    Meeting meeting(2);
    Wave<void> wave;
    for (int mine : {1, 2}) {
        TransactionBody body = [mine, &meeting](Transaction& tx) {
            return skew(tx, mine, &meeting);
        };
        wave.add(database.transact(std::move(body), Deadline::never()));
    }
    wave.run();
    CHECK(meeting.come() > 2);
    CHECK(wave.results[0].has_value() != wave.results[1].has_value());
    CHECK(number(database, n_of, bind(1)) + number(database, n_of, bind(2)) == 1);
}

TEST_CASE("postgres: a body whose connection broke before COMMIT runs again") {
    PostgresFixture world({table}, base::system_clock(), options_with(1));
    int runs = 0;
    TransactionBody body = [&runs](Transaction& tx) { return die_once(tx, &runs); };
    CHECK(run_task(world.database().transact(std::move(body), Deadline::never())));
    CHECK(runs == 2);
    CHECK(number(world.database(), rows) == 1);
    CHECK_THAT(world.metrics().expose(), Catch::Contains("database_reruns_total 1"));
}

TEST_CASE("postgres: a body that always breaks its connection ends") {
    PostgresFixture world({table}, base::system_clock(), options_with(1));
    auto done = write(world.database(), kill_self);
    CHECK(done.error().kind == ErrorKind::unavailable);
    CHECK(done.error().code != "commit_unknown");
    CHECK(write(world.database(), insert, bind(1, 1)));
}

TEST_CASE("postgres: a connection that breaks during COMMIT leaves it unknown") {
    const Migration deadly{
        "0002_deadly",
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die();"};
    PostgresFixture world({table, deadly}, base::system_clock(), options_with(1));
    auto done = write(world.database(), insert, bind(1, 1));
    CHECK(done.error().kind == ErrorKind::unavailable);
    CHECK(done.error().code == "commit_unknown");
    CHECK(number(world.database(), rows) == 0);
}

TEST_CASE("postgres: what COMMIT itself refuses did not happen") {
    const Migration checked{
        "0002_checked",
        "CREATE TABLE child (parent BIGINT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"};
    constexpr Statement orphan{"test.orphan", "INSERT INTO child (parent) VALUES ($1)"};
    PostgresFixture world({table, checked});
    CHECK(write(world.database(), orphan, bind(7)).error().code == "foreign_key_violation");
}

TEST_CASE("postgres: what the Sync behind a lone statement refuses did not happen") {
    const Migration checked{
        "0002_checked",
        "CREATE TABLE child (parent BIGINT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);"
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW WHEN (NEW.n = 13) EXECUTE FUNCTION die();"};
    constexpr Statement orphan{"test.orphan", "INSERT INTO child (parent) VALUES ($1)"};
    PostgresFixture world({table, checked}, base::system_clock(), options_with(1));
    int hooks = 0;
    const auto last = [&](Statement statement, Params params) {
        TransactionBody body = [&hooks, statement, params](Transaction& tx) {
            return run_last(tx, statement, params, &hooks);
        };
        return run_task(world.database().transact(std::move(body), Deadline::never()));
    };
    CHECK(last(orphan, bind(7)).error().code == "foreign_key_violation");
    CHECK(last(insert, bind(1, 13)).error().code == "commit_unknown");
    CHECK(hooks == 0);
    CHECK(number(world.database(), rows) == 0);
    CHECK(last(insert, bind(1, 1)));
    CHECK(hooks == 1);
}

TEST_CASE("postgres: transactions take more connections from the budget, and give them back") {
    base::VirtualClock clock;
    auto options = options_with(1);
    options.budget = std::make_shared<database::ConnectionBudget>(3);
    options.url = with(Services::shared().fresh_schema(), "application_name=souk-budget");
    PostgresFixture world({}, clock, options);
    std::vector<Rows> answers(60);
    Wave<void> wave;
    for (Rows& answer : answers)
        wave.add(write_task(world.database(), backend, {}, Deadline::never(), &answer));
    wave.run();
    std::set<std::int64_t> pids;
    for (const Rows& answer : answers)
        pids.insert(answer[0].integer(0));
    CHECK(pids.size() == 4);
    CHECK_FALSE(options.budget->take());

    Tester tester(world.url());
    const std::string count =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'souk-budget'";
    CHECK(eventually([&] {
        clock.advance(seconds(1));
        return tester.run("SET application_name = tester; " + count) == "2";
    }));
    CHECK(options.budget->take());
    CHECK(options.budget->take());
    CHECK(options.budget->take());
    CHECK_FALSE(options.budget->take());
}

TEST_CASE("postgres: six databases with one budget stay within twelve connections") {
    auto budget = std::make_shared<database::ConnectionBudget>(0);
    auto options = options_with(1);
    options.url = with(Services::shared().fresh_schema(), "application_name=souk-twelve");
    options.budget = budget;
    std::vector<std::unique_ptr<PostgresFixture>> modules;
    for (int i = 0; i < 6; ++i)
        modules.push_back(std::make_unique<PostgresFixture>(
            std::vector<Migration>(), base::system_clock(), options
        ));
    Tester tester(Services::shared().postgres_admin_url());
    const std::string count =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'souk-twelve'";
    Wave<void> wave;
    for (int i = 0; i < 120; ++i)
        wave.add(write_task(modules[i % 6]->database(), backend, {}, Deadline::never(), nullptr));
    int most = 0;
    while (!wave.ended(119)) {
        most = std::max(most, std::stoi(tester.run(count)));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    wave.run();
    CHECK(most == 12);
}

TEST_CASE("postgres: waiting transactions have a limit, and leave at their deadline") {
    base::VirtualClock clock;
    auto options = options_with(1);
    options.queue_limit = 3;
    PostgresFixture world({}, clock, options);
    Tester tester(world.url());
    tester.run("SELECT pg_advisory_lock(43)");
    Wave<void> wave;
    Deadline soon(clock, milliseconds(500));
    wave.add(write_task(world.database(), lock_key, bind(43), Deadline::never(), nullptr));
    wave.add(write_task(world.database(), lock_key, bind(43), soon, nullptr));
    wave.add(write_task(world.database(), lock_key, bind(43), Deadline::never(), nullptr));
    wave.add(write_task(world.database(), lock_key, bind(43), Deadline::never(), nullptr));
    REQUIRE(eventually([&] { return wave.ended(3); }));
    CHECK(wave.results[3].error().code == "busy");
    CHECK(wave.results[3].error().retry_after_s > 0);
    REQUIRE(eventually([&] {
        clock.advance(milliseconds(10));
        return wave.ended(1);
    }));
    CHECK(wave.results[1].error().kind == ErrorKind::timeout);
    CHECK_FALSE(wave.ended(0));
    tester.run("SELECT pg_advisory_unlock(43)");
    wave.run();
    CHECK(wave.results[0]);
    CHECK(wave.results[2]);
}

TEST_CASE("postgres: a transaction that is late while it waits rolls back and frees its place") {
    base::VirtualClock clock;
    PostgresFixture world({table}, clock, options_with(1));
    Tester tester(world.url());
    tester.run("BEGIN; INSERT INTO t VALUES (1, 1)");
    Wave<void> wave;
    Deadline soon(clock, milliseconds(100));
    wave.add(write_task(world.database(), insert, bind(1, 2), soon, nullptr));
    REQUIRE(eventually([&] {
        clock.advance(milliseconds(10));
        return wave.ended(0);
    }));
    CHECK(wave.results[0].error().kind == ErrorKind::timeout);
    // The lock that it waits for is still held; its connection must not be.
    wave.add(write_task(world.database(), insert, bind(2, 2), Deadline::never(), nullptr));
    REQUIRE(eventually([&] {
        clock.advance(milliseconds(10));
        return wave.ended(1);
    }));
    CHECK(wave.results[1]);
    tester.run("ROLLBACK");
    CHECK(number(world.database(), rows) == 1);
}

TEST_CASE("postgres: the server, too, ends a statement at the deadline") {
    constexpr Statement timeout{
        "test.timeout", "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"};
    PostgresFixture world({}, base::system_clock(), options_with(1));
    Rows answer;
    auto ask = [&](Deadline deadline) {
        REQUIRE(run_task(write_task(world.database(), timeout, {}, deadline, &answer)));
        return answer[0].string(0);
    };
    Clock& clock = base::system_clock();
    CHECK(ask(Deadline(clock, milliseconds(1500))) == "2000");
    CHECK(ask(Deadline(clock, seconds(20))) == "30000");
    CHECK(ask(Deadline::never()) == "0");
}

TEST_CASE("postgres: a body that awaits something else is ended") {
    PostgresFixture world({table}, base::system_clock(), options_with(1));
    TransactionBody body = [](Transaction& tx) -> Task<Result<void>> {
        auto inserted = co_await run_statement(tx, insert, bind(1, 1));
        if (!inserted) co_return inserted.error();
        co_await base::system_clock().sleep(std::chrono::hours(1));
        co_return Result<void>();
    };
    CHECK_THROWS_AS(
        run_task(world.database().transact(std::move(body), Deadline::never())), std::logic_error
    );
    CHECK(number(world.database(), rows) == 0);
}

}  // namespace souk::test
