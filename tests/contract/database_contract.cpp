// What each Database promises (include/souk/database.hpp). A driver joins by a fixture with
// `database()` and `reopen()`, made from migrations and a clock, in the list DRIVERS.
#include "base/virtual_clock.hpp"
#include "contract/database_world.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <atomic>
#include <set>
#include <stdexcept>

#define DRIVERS souk::test::SqliteFixture, souk::test::PostgresFixture

namespace souk::test {
namespace {

constexpr Statement insert_returning{
    "contract.insert_returning",
    "INSERT INTO things (id, name, note) VALUES ($1, $2, $3) RETURNING id, name, note, stock"};
constexpr Statement insert_child{
    "contract.insert_child", "INSERT INTO things (id, name, parent) VALUES ($1, 'child', $2)"};
constexpr Statement insert_if_absent{
    "contract.insert_if_absent",
    "INSERT INTO things (id, name, stock) VALUES ($1, $2, 1) ON CONFLICT (id) DO NOTHING"};
constexpr Statement upsert{
    "contract.upsert",
    "INSERT INTO things (id, name, stock) VALUES ($1, $2, $3) ON CONFLICT (id) "
    "DO UPDATE SET stock = excluded.stock"};
constexpr Statement take{
    "contract.take", "UPDATE things SET stock = stock - $2 WHERE id = $1 AND stock >= $2"};
constexpr Statement add_one{"contract.add", "UPDATE things SET stock = stock + 1 WHERE id = $1"};
constexpr Statement erase_all{"contract.erase", "DELETE FROM things"};
constexpr Statement select_one{
    "contract.select", "SELECT id, name, stock, note FROM things WHERE id = $1"};
constexpr Statement stock_of{"contract.stock", "SELECT stock FROM things WHERE id = $1"};
constexpr Statement out_of_order{
    "contract.order", "SELECT id, name FROM things WHERE name = $2 OR id = $1 OR name = $2"};

/// One statement in a transaction of its own; the parameters outlive the body.
class Once {
public:
    Once(Database& database, const Statement& statement, Params params)
        : database_(database), statement_(statement), params_(std::move(params)) {}
    Result<Rows> run() {
        auto done = run_task(transact());
        if (!done) return done.error();
        return std::move(rows_);
    }

private:
    Task<Result<void>> transact() {
        TransactionBody body = [this](Transaction& tx) { return work(tx); };
        co_return co_await database_.transact(std::move(body), Deadline::never());
    }
    Task<Result<void>> work(Transaction& tx) {
        Params params = params_;
        auto rows = co_await tx.execute(statement_, std::move(params));
        if (!rows) co_return rows.error();
        rows_ = std::move(*rows);
        co_return Result<void>();
    }

    Database& database_;
    const Statement& statement_;
    Params params_;
    Rows rows_;
};

Result<Rows> once(Database& database, const Statement& statement, Params params = {}) {
    return Once(database, statement, std::move(params)).run();
}

Result<void> transact(Database& database, TransactionBody body) {
    return run_task(database.transact(std::move(body), Deadline::never()));
}

Task<Result<void>> insert_then_refuse(Transaction& tx, std::int64_t id) {
    auto inserted = co_await insert_thing(tx, id, fmt::format("refused {}", id));
    if (!inserted) co_return inserted.error();
    co_return conflict("own_error", "the body's own");
}

Task<Result<void>> insert_then_throw(Transaction& tx, std::int64_t id) {
    auto inserted = co_await insert_thing(tx, id, fmt::format("thrown {}", id));
    if (!inserted) co_return inserted.error();
    throw std::runtime_error("planned");
}

Task<Result<void>> increment(Transaction& tx) {
    Params params = bind(1);
    auto rows = co_await tx.execute(add_one, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<void>> swallow_an_error(Transaction& tx) {
    auto first = co_await insert_thing(tx, 1, "first");
    if (!first) co_return first.error();
    static_cast<void>(co_await insert_thing(tx, 1, "again"));
    co_return Result<void>();
}

Task<Result<void>> insert_many(Transaction& tx, std::vector<Params> all) {
    auto rows = co_await tx.execute_all(insert, std::move(all));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

}  // namespace

TEMPLATE_TEST_CASE("database: values come back as they went in", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    std::string odd = "quote ', backslash \\, dollar $1, snowman \xE2\x98\x83, control \x01\x7f";
    auto rows = once(database, insert_returning, bind(INT64_MIN, odd, std::nullopt));
    REQUIRE(rows);
    REQUIRE(rows->size() == 1);
    CHECK(rows->affected() == 1);
    CHECK((*rows)[0].integer(0) == INT64_MIN);
    CHECK((*rows)[0].text(1) == odd);
    CHECK((*rows)[0].is_null(2));
    CHECK((*rows)[0].text(2).empty());
    CHECK((*rows)[0].integer(3) == 0);
    CHECK_THROWS_AS((*rows)[0].integer(1), std::logic_error);

    std::optional<std::string> absent;
    std::optional<std::string> empty = "";
    REQUIRE(once(database, insert_returning, bind(1, "absent", absent)));
    REQUIRE(once(database, insert_returning, bind(2, "empty", empty)));
    CHECK((*ask(database, select_one, bind(1)))[0].is_null(3));
    CHECK_FALSE((*ask(database, select_one, bind(2)))[0].is_null(3));
    CHECK((*ask(database, select_one, bind(INT64_MAX))).empty());
}

TEMPLATE_TEST_CASE("database: $N binds by number, however often it stands", "[database]", DRIVERS) {
    TestType world({schema});
    REQUIRE(once(world.database(), insert, bind(1, "one", 5)));
    REQUIRE(once(world.database(), insert, bind(2, "two", 5)));
    auto rows = ask(world.database(), out_of_order, bind(1, "two"));
    REQUIRE(rows);
    CHECK(rows->size() == 2);
    CHECK(ask(world.database(), out_of_order, bind(1)).error().kind == ErrorKind::internal);
    CHECK(ask(world.database(), out_of_order, bind(1, "a", 2)).error().kind == ErrorKind::internal);
}

TEMPLATE_TEST_CASE("database: affected counts what changed", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    CHECK(once(database, insert_if_absent, bind(1, "one"))->affected() == 1);
    CHECK(once(database, insert_if_absent, bind(1, "one"))->affected() == 0);
    CHECK(once(database, upsert, bind(1, "one", 3))->affected() == 1);
    CHECK(once(database, take, bind(1, 2))->affected() == 1);
    CHECK(once(database, take, bind(1, 2))->affected() == 0);
    CHECK((*ask(database, stock_of, bind(1)))[0].integer(0) == 1);
    CHECK(once(database, select_all)->affected() == 0);
    CHECK(once(database, erase_all)->affected() == 1);
    CHECK(once(database, erase_all)->affected() == 0);
}

TEMPLATE_TEST_CASE("database: violated constraints have names", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    REQUIRE(once(database, insert, bind(1, "one", 0)));
    auto expect = [&](const Statement& statement, Params params, std::string code) {
        auto rows = once(database, statement, std::move(params));
        REQUIRE_FALSE(rows);
        CHECK(rows.error().kind == ErrorKind::conflict);
        CHECK(rows.error().code == code);
        return rows.error().detail;
    };
    CHECK_THAT(expect(insert, bind(1, "x", 0), "unique_violation"), Catch::Contains("things"));
    CHECK_THAT(expect(insert, bind(2, "one", 0), "unique_violation"), Catch::Contains("name"));
    CHECK_THAT(
        expect(insert, bind(2, "two", -1), "check_violation"), Catch::Contains("stock_not_negative")
    );
    CHECK_THAT(
        expect(insert, bind(2, std::nullopt, 0), "not_null_violation"), Catch::Contains("name")
    );
    expect(insert_child, bind(2, "nobody"), "foreign_key_violation");
    CHECK(ask(database, select_all)->size() == 1);
}

TEMPLATE_TEST_CASE("database: a query sees what was committed before it", "[database]", DRIVERS) {
    TestType world({schema});
    for (int i = 1; i <= 200; ++i) {
        REQUIRE(once(world.database(), insert, bind(i, fmt::format("n{}", i), 0)));
        REQUIRE(ask(world.database(), select_all)->size() == static_cast<std::size_t>(i));
    }
}

TEMPLATE_TEST_CASE("database: queries at once see it as well", "[database]", DRIVERS) {
    TestType world({schema});
    for (std::int64_t i = 1; i <= 20; ++i) {
        REQUIRE(once(world.database(), insert, bind(i, fmt::format("n{}", i), 0)));
        asio::io_context context;
        std::vector<std::size_t> sizes;
        for (int reader = 0; reader < 100; ++reader) {
            auto ended = [&sizes](std::exception_ptr, Result<Rows> rows) {
                sizes.push_back(rows ? rows->size() : 0);
            };
            auto read = world.database().query(select_all, {}, Deadline::never());
            asio::co_spawn(context, std::move(read), std::move(ended));
        }
        context.run();
        REQUIRE(sizes == std::vector<std::size_t>(100, static_cast<std::size_t>(i)));
    }
}

TEMPLATE_TEST_CASE("database: a query cannot write", "[database]", DRIVERS) {
    TestType world({schema});
    CHECK_FALSE(ask(world.database(), insert, bind(1, "one", 0)));
    CHECK(ask(world.database(), select_all)->empty());
}

TEMPLATE_TEST_CASE(
    "database: a body that fails leaves its neighbours alone", "[database]", DRIVERS
) {
    TestType world({schema});
    Database& database = world.database();
    asio::io_context context;
    Crowd crowd(context);
    for (int i = 0; i < 90; ++i) {
        TransactionBody body;
        if (i % 3 == 0)
            body = [i](Transaction& tx) { return insert_thing(tx, i, fmt::format("kept {}", i)); };
        if (i % 3 == 1) body = [i](Transaction& tx) { return insert_then_refuse(tx, i); };
        if (i % 3 == 2) body = [i](Transaction& tx) { return insert_then_throw(tx, i); };
        crowd.add(database.transact(std::move(body), Deadline::never()));
    }
    crowd.run();
    for (std::size_t i = 0; i < 90; ++i) {
        CHECK(static_cast<bool>(crowd.failures[i]) == (i % 3 == 2));
        if (i % 3 == 0) CHECK(crowd.results[i]);
        if (i % 3 == 1) CHECK(crowd.results[i].error().code == "own_error");
        if (i % 3 == 2) CHECK_THROWS_WITH(std::rethrow_exception(crowd.failures[i]), "planned");
    }
    auto rows = ask(database, select_all).value();
    REQUIRE(rows.size() == 30);
    for (std::size_t i = 0; i < rows.size(); ++i)
        CHECK(rows[i].integer(0) == static_cast<std::int64_t>(3 * i));
}

TEMPLATE_TEST_CASE("database: an error that a body swallows rolls back", "[database]", DRIVERS) {
    TestType world({schema});
    auto done = transact(world.database(), swallow_an_error);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == "unique_violation");
    CHECK(ask(world.database(), select_all)->empty());
}

TEMPLATE_TEST_CASE("database: execute_all stops at the first error", "[database]", DRIVERS) {
    TestType world({schema});
    std::vector<Params> good;
    for (int i = 0; i < 5; ++i)
        good.push_back(bind(i, fmt::format("n{}", i), i));
    auto send = [&](const std::vector<Params>& all) {
        return transact(world.database(), [&](Transaction& tx) { return insert_many(tx, all); });
    };
    std::vector<Params> bad = good;
    bad[3] = bind(3, "n3", -1);
    bad[4] = bind(4, std::nullopt, 0);
    auto refused = send(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "check_violation");
    CHECK(ask(world.database(), select_all)->empty());
    REQUIRE(send(good));
    CHECK(ask(world.database(), select_all)->size() == 5);
}

TEMPLATE_TEST_CASE("database: after its deadline nothing begins", "[database]", DRIVERS) {
    base::VirtualClock clock;
    TestType world({schema}, clock);
    Deadline deadline(clock, milliseconds(10));
    clock.advance(milliseconds(10));
    bool ran = false;
    TransactionBody body = [&ran](Transaction& tx) {
        ran = true;
        return insert_thing(tx, 1, "late");
    };
    CHECK(
        run_task(world.database().transact(std::move(body), deadline)).error().kind ==
        ErrorKind::timeout
    );
    CHECK_FALSE(ran);
    CHECK(
        run_task(world.database().query(select_all, {}, deadline)).error().kind ==
        ErrorKind::timeout
    );
}

TEMPLATE_TEST_CASE("database: a deadline that passes in a body rolls back", "[database]", DRIVERS) {
    base::VirtualClock clock;
    TestType world({schema}, clock);
    Deadline deadline(clock, milliseconds(10));
    TransactionBody body = [&clock](Transaction& tx) {
        clock.advance(milliseconds(10));
        return insert_thing(tx, 1, "late");
    };
    CHECK(
        run_task(world.database().transact(std::move(body), deadline)).error().kind ==
        ErrorKind::timeout
    );
    CHECK(ask(world.database(), select_all)->empty());
}

TEMPLATE_TEST_CASE("database: 1,000 transactions at once take effect once", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    REQUIRE(once(database, insert, bind(1, "counter", 0)));
    asio::io_context context;
    Crowd crowd(context);
    for (int i = 0; i < 1000; ++i)
        crowd.add(database.transact(increment, Deadline::never()));
    crowd.run();
    for (const auto& result : crowd.results)
        REQUIRE(result);
    CHECK((*ask(database, stock_of, bind(1)))[0].integer(0) == 1000);
}

namespace {

/// The body writes into this frame: it must not run on when the frame is gone.
Task<Result<void>> increment_and_note(Database& database) {
    std::string noted;
    TransactionBody body = [&noted](Transaction& tx) {
        noted = std::string(100, 'x');
        return increment(tx);
    };
    co_return co_await database.transact(std::move(body), Deadline::never());
}

}  // namespace

TEMPLATE_TEST_CASE("database: a caller that leaves harms nobody", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    REQUIRE(once(database, insert, bind(1, "counter", 0)));
    for (int round = 0; round < 20; ++round) {
        asio::io_context context;
        Crowd crowd(context);
        for (int i = 0; i < 50; ++i)
            crowd.add(increment_and_note(database));
        context.poll();  // all are queued, some have begun; their context ends here
    }
    REQUIRE(once(database, insert, bind(2, "after", 0)));
    CHECK(ask(database, select_all)->size() == 2);
}

TEMPLATE_TEST_CASE("database: what was committed is there after a restart", "[database]", DRIVERS) {
    TestType world({schema});
    REQUIRE(once(world.database(), insert, bind(1, "one", 0)));
    world.reopen();
    CHECK(ask(world.database(), select_all)->size() == 1);
}

namespace {

/// What the body wishes for after its COMMIT.
Task<Result<void>> insert_and_wish(Transaction& tx, std::int64_t id, std::atomic<int>* done) {
    tx.after_commit([done] { ++*done; });
    co_return co_await insert_thing(tx, id, fmt::format("n{}", id));
}

}  // namespace

TEMPLATE_TEST_CASE("database: after_commit runs once after a COMMIT only", "[database]", DRIVERS) {
    TestType world({schema});
    Database& database = world.database();
    std::atomic<int> done = 0;
    auto wish = [&done](std::int64_t id) -> TransactionBody {
        return [id, &done](Transaction& tx) { return insert_and_wish(tx, id, &done); };
    };
    REQUIRE(transact(database, wish(1)));
    CHECK(done == 1);
    CHECK_FALSE(transact(database, wish(1)));
    CHECK(done == 1);
    asio::io_context context;
    Crowd crowd(context);
    for (int i = 0; i < 50; ++i)
        crowd.add(database.transact(wish(i), Deadline::never()));
    crowd.run();
    CHECK(done == 50);
    CHECK(ask(database, select_all)->size() == 50);
}

}  // namespace souk::test
