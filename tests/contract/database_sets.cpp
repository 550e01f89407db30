// What each Database promises of statements for sets, later ones and last ones.
#include "contract/database_world.hpp"
#include "souk/failpoint.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#define DRIVERS souk::test::SqliteFixture, souk::test::PostgresFixture

namespace souk::test {
namespace {

constexpr Statement insert_set{
    "contract.insert_set",
    "INSERT INTO things (id, name, note) VALUES ($1, $2, $3) "
    "ON CONFLICT (id) DO NOTHING RETURNING id",
    "INSERT INTO things (id, name, note) SELECT * FROM unnest(CAST($1 AS BIGINT[]), "
    "CAST($2 AS TEXT[]), CAST($3 AS TEXT[])) ON CONFLICT (id) DO NOTHING RETURNING id"};
constexpr Statement insert_last{
    "contract.insert_last",
    "INSERT INTO things (id, name, stock) VALUES ($1, $2, $3) RETURNING name"};
constexpr Statement notes{"contract.notes", "SELECT id, note FROM things ORDER BY id"};

/// A body of steps, each of which says whether it is the last one.
struct Plan {
    Plan() = default;
    std::vector<std::int64_t> first;  // ids inserted one by one
    std::vector<std::int64_t> later;
    std::optional<std::int64_t> last;
    std::string last_name = "last";
    std::int64_t last_stock = 0;
    bool throws = false;
    int hooks = 0;
    std::string returned;
};

Task<Result<void>> follow(Transaction& tx, Plan* plan) {
    tx.after_commit([plan] { ++plan->hooks; });
    for (const std::int64_t id : plan->first) {
        auto done = co_await insert_thing(tx, id, fmt::format("first {}", id));
        if (!done) co_return done;
    }
    for (const std::int64_t id : plan->later) {
        Params row = bind(id, fmt::format("later {}", id), std::nullopt);
        auto done = co_await tx.execute_later(insert_set, std::move(row));
        if (!done) co_return done;
    }
    if (plan->throws) throw std::runtime_error("planned");
    if (!plan->last) co_return Result<void>();
    Params params = bind(*plan->last, plan->last_name, plan->last_stock);
    auto rows = co_await tx.execute_last(insert_last, std::move(params));
    if (!rows) co_return rows.error();
    plan->returned = (*rows)[0].string(0);
    co_return Result<void>();
}

Result<void> run(Database& database, Plan& plan) {
    TransactionBody body = [&plan](Transaction& tx) { return follow(tx, &plan); };
    return run_task(database.transact(std::move(body), Deadline::never()));
}

std::vector<std::int64_t> ids(Database& database) {
    const Rows rows = ask(database, select_all).value();
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < rows.size(); ++i)
        all.push_back(rows[i].integer(0));
    return all;
}

using Ids = std::vector<std::int64_t>;

Task<Result<void>> insert_rows(Transaction& tx, std::vector<Params> rows, Rows* out) {
    auto written = co_await tx.execute_set(insert_set, std::move(rows));
    if (!written) co_return written.error();
    *out = std::move(*written);
    co_return Result<void>();
}

Result<void> insert_rows(Database& database, std::vector<Params> rows, Rows& out) {
    TransactionBody body = [&](Transaction& tx) { return insert_rows(tx, rows, &out); };
    return run_task(database.transact(std::move(body), Deadline::never()));
}

}  // namespace

TEMPLATE_TEST_CASE(
    "database: a set is written as it is, and tells of all rows", "[database]", DRIVERS
) {
    TestType world({schema});
    Database& database = world.database();
    const std::vector<std::string> odd = {
        "",
        "NULL",
        "null",
        "a,b",
        "{a,\"b\"}",
        "back\\slash",
        "quote \" and '",
        " spaces ",
        "two\nlines\ttab",
        "\x01\x7f",
        "snowman \xE2\x98\x83",
    };
    std::vector<Params> rows;
    for (std::size_t i = 0; i < odd.size(); ++i)
        rows.push_back(bind(i, fmt::format("name {}", i), odd[i]));
    rows.push_back(bind(odd.size(), "nothing", std::nullopt));
    rows.push_back(bind(INT64_MIN, "least", "least"));
    Rows out;
    REQUIRE(insert_rows(database, rows, out));
    CHECK(out.affected() == static_cast<std::int64_t>(rows.size()));
    CHECK(out.size() == rows.size());
    const Rows kept = ask(database, notes).value();
    REQUIRE(kept.size() == rows.size());
    CHECK(kept[0].integer(0) == INT64_MIN);
    for (std::size_t i = 0; i < odd.size(); ++i) {
        CHECK(kept[i + 1].text(1) == odd[i]);
        CHECK_FALSE(kept[i + 1].is_null(1));
    }
    CHECK(kept[kept.size() - 1].is_null(1));

    rows.push_back(bind(1000, "new", std::nullopt));
    REQUIRE(insert_rows(database, rows, out));
    REQUIRE(out.size() == 1);  // the others were there
    CHECK(out.affected() == 1);
    CHECK(out[0].integer(0) == 1000);
    REQUIRE(insert_rows(database, {}, out));
    CHECK(out.empty());
}

TEMPLATE_TEST_CASE("database: a set is written as a whole or not at all", "[database]", DRIVERS) {
    TestType world({schema});
    std::vector<Params> rows;
    rows.push_back(bind(1, "one", std::nullopt));
    rows.push_back(bind(2, "one", std::nullopt));
    Rows out;
    auto done = insert_rows(world.database(), rows, out);
    CHECK(done.error().code == "unique_violation");
    CHECK(ids(world.database()).empty());
}

TEMPLATE_TEST_CASE(
    "database: later and last rows are committed with the others", "[database]", DRIVERS
) {
    TestType world({schema});
    Plan plan;
    if (GENERATE(true, false)) plan.first = {1};
    if (GENERATE(true, false)) plan.later = {2, 3};
    if (GENERATE(true, false)) plan.last = 4;
    REQUIRE(run(world.database(), plan));
    CHECK(plan.hooks == 1);
    CHECK(plan.returned == (plan.last ? "last" : ""));
    Ids wanted = plan.first;
    wanted.insert(wanted.end(), plan.later.begin(), plan.later.end());
    if (plan.last) wanted.push_back(*plan.last);
    CHECK(ids(world.database()) == wanted);
}

TEMPLATE_TEST_CASE(
    "database: what the last or a later row meets undoes all", "[database]", DRIVERS
) {
    TestType world({schema});
    Database& database = world.database();
    Plan before;
    before.later = {7};
    REQUIRE(run(database, before));
    Plan plan;
    if (GENERATE(true, false)) plan.first = {1};
    if (GENERATE(true, false)) plan.later = {2};
    std::string code = "unique_violation";
    SECTION("the last one's key is taken") {
        plan.last = 7;
    }
    SECTION("the last one breaks a rule") {
        plan.last = 8;
        plan.last_stock = -1;
        code = "check_violation";
    }
    SECTION("the last one is no text, which only PostgreSQL refuses") {
        if (database.dialect() == Dialect::sqlite) return;
        plan.last = 8;
        plan.last_name = std::string("a\0b", 3);
        code = "invalid_text";
    }
    SECTION("the body throws before it comes to it") {
        plan.later = {2};
        plan.last = 8;
        plan.throws = true;
        CHECK_THROWS_AS(run(database, plan), std::runtime_error);
        code.clear();
    }
    if (!code.empty()) {
        auto done = run(database, plan);
        REQUIRE_FALSE(done);
        CHECK(done.error().code == code);
    }
    CHECK(plan.hooks == 0);
    CHECK(ids(database) == Ids{7});
    Plan after;
    after.last = 9;
    CHECK(run(database, after));  // nothing of it is left on the connection
    CHECK(ids(database) == Ids{7, 9});
}

TEMPLATE_TEST_CASE(
    "database: a later row that is refused undoes the last one", "[database]", DRIVERS
) {
    TestType world({schema});
    Database& database = world.database();
    Plan plan;
    if (GENERATE(true, false)) plan.first = {1};
    plan.later = {2, 2};  // by id they meet ON CONFLICT, by name they must not
    if (GENERATE(true, false)) plan.last = 3;
    plan.last_name = "later 2";
    const bool refused = plan.last.has_value();
    auto done = run(database, plan);
    CHECK(done.has_value() != refused);
    CHECK(plan.hooks == (refused ? 0 : 1));
    Ids wanted = plan.first;
    wanted.push_back(2);
    if (refused) wanted.clear();
    CHECK(ids(database) == wanted);
}

#ifdef SOUK_FAILPOINTS
TEST_CASE("postgres: a connection lost around the last statement leaves it unknown", "[database]") {
    PostgresFixture world({schema});
    Database& database = world.database();
    Plan plan;
    if (GENERATE(true, false)) plan.first = {1};
    if (GENERATE(true, false)) plan.later = {2};
    if (GENERATE(true, false)) plan.last = 3;
    if (plan.first.empty() && plan.later.empty() && !plan.last) return;
    const bool happened = GENERATE(true, false);
    const std::string point = happened ? "postgres.after_commit" : "postgres.before_commit";
    failpoint::arm(point, "error");
    auto done = run(database, plan);
    failpoint::arm(point, "off");
    REQUIRE_FALSE(done);
    CHECK(done.error().code == "commit_unknown");
    CHECK(plan.hooks == 0);
    Ids wanted = plan.first;
    wanted.insert(wanted.end(), plan.later.begin(), plan.later.end());
    if (plan.last) wanted.push_back(*plan.last);
    if (!happened) wanted.clear();
    CHECK(ids(database) == wanted);
}
#endif

}  // namespace souk::test
