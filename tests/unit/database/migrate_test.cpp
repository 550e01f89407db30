#include "database/migrate.hpp"

#include "database/script.hpp"
#include "database/sqlite/files.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>

namespace souk::test {
namespace {

constexpr Statement names{"test.names", "SELECT name FROM souk_migrations ORDER BY name"};
constexpr Statement count_a{"test.count_a", "SELECT count(*) FROM a"};
constexpr Statement count_outbox{"test.outbox", "SELECT count(*) FROM outbox"};

const Migration first{
    "0001_first",
    "CREATE TABLE a (x TEXT NOT NULL); -- a comment; with a semicolon\n"
    "INSERT INTO a VALUES ('one; two');\n"
    "CREATE TRIGGER guard BEFORE DELETE ON a BEGIN\n"
    "  SELECT RAISE(ABORT, 'kept; always'); SELECT 1;\nEND;\n"
    "INSERT INTO a VALUES ('it''s')"};
const Migration second{"0002_second", "ALTER TABLE a ADD COLUMN y TEXT"};
const Migration broken{"0003_broken", "CREATE TABLE b (x TEXT);\nCREATE TABLE a (x TEXT);\n"};

std::unique_ptr<Database> open(const std::filesystem::path& file) {
    database::SqliteOptions options;
    options.file = file;
    return database::open_sqlite(options, base::system_clock()).value();
}

Result<database::MigrationReport> migrate(Database& database, std::vector<Migration> migrations) {
    return run_task(database::migrate(database, base::system_clock(), std::move(migrations)));
}

std::int64_t number(Database& database, const Statement& statement) {
    return run_task(database.query(statement, {}, Deadline::never())).value()[0].integer(0);
}

}  // namespace

TEST_CASE("migrate: applies what is missing, the kernel's first, each once") {
    TemporaryFolder folder;
    auto database = open(folder.path() / "a.db");
    auto report = migrate(*database, {first});
    REQUIRE(report);
    CHECK(
        report->applied ==
        std::vector<std::string>{"0001_kernel_events", "0002_broker", "0001_first"}
    );
    CHECK(number(*database, count_a) == 2);
    CHECK(number(*database, count_outbox) == 0);
    CHECK(migrate(*database, {first})->applied.empty());
    CHECK(migrate(*database, {first, second})->applied == std::vector<std::string>{"0002_second"});
}

TEST_CASE("migrate: a failing step leaves nothing of itself") {
    TemporaryFolder folder;
    auto database = open(folder.path() / "a.db");
    auto report = migrate(*database, {first, broken});
    REQUIRE_FALSE(report);
    CHECK_THAT(report.error().detail, Catch::Contains("0003_broken"));
    CHECK_THAT(report.error().detail, Catch::Contains("already exists"));
    auto rows = run_task(database->query(names, {}, Deadline::never())).value();
    CHECK(rows.size() == 3);
    const Migration mended{"0003_broken", "CREATE TABLE b (x TEXT)"};
    CHECK(migrate(*database, {first, mended}));
}

TEST_CASE("migrate: refuses a newer schema and a changed migration") {
    TemporaryFolder folder;
    auto database = open(folder.path() / "a.db");
    REQUIRE(migrate(*database, {first, second}));
    CHECK(migrate(*database, {first})->applied.empty());  // it only adds: we work beside it
    const Migration contracting{"0003_contract_names", "ALTER TABLE a RENAME TO b"};
    REQUIRE(migrate(*database, {first, second, contracting}));
    auto newer = migrate(*database, {first, second});
    CHECK(newer.error().kind == ErrorKind::invalid);
    CHECK(newer.error().code == "schema_newer");
    CHECK_THAT(newer.error().detail, Catch::Contains("0003_contract_names"));
    const Migration changed{"0002_second", "ALTER TABLE a ADD COLUMN z TEXT"};
    CHECK(migrate(*database, {first, changed, contracting}).error().code == "migration_changed");
    CHECK_THROWS_AS(migrate(*database, {first, second, second}), std::logic_error);
}

TEST_CASE("migrate: copies a database that holds something, before it changes") {
    TemporaryFolder folder;
    auto file = folder.path() / "a.db";
    auto database = open(file);
    REQUIRE(migrate(*database, {first}));
    CHECK_FALSE(std::filesystem::exists(file.string() + ".before-0001_kernel_events"));
    REQUIRE(migrate(*database, {first, second}));
    std::filesystem::path copy = file.string() + ".before-0002_second";
    REQUIRE(std::filesystem::exists(copy));
    CHECK_FALSE(std::filesystem::exists(copy.string() + ".partial"));
    auto status = std::filesystem::status(copy);
    CHECK(status.permissions() == std::filesystem::perms(0600));
    auto before = open(copy);
    CHECK(number(*before, count_a) == 2);
    // It is the state before: that migration can be applied to it.
    CHECK(migrate(*before, {first, second})->applied == std::vector<std::string>{"0002_second"});
}

TEST_CASE("migrate: parts for a dialect") {
    using database::part_for;
    std::string text = "one\n-- only: sqlite\ntwo\n  -- only: postgres \r\nthree\n-- both\nfour";
    CHECK(*part_for(text, Dialect::sqlite) == "one\n\ntwo\n\n\n\nfour\n");
    CHECK(*part_for(text, Dialect::postgres) == "one\n\n\n\nthree\n\nfour\n");
    CHECK(part_for("-- only: mysql\n", Dialect::sqlite).error().code == "migration_malformed");
}

TEST_CASE("migrate: scripts are split where SQLite ends a statement") {
    using database::split_statements;
    using Texts = std::vector<std::string>;
    CHECK(split_statements(" \n").empty());
    CHECK(split_statements("a; b") == Texts{"a;", " b"});
    CHECK(split_statements("a ';' b;") == Texts{"a ';' b;"});
    CHECK(split_statements("a \"x;y\" [z;] /* ; */ b;") == Texts{"a \"x;y\" [z;] /* ; */ b;"});
    CHECK(split_statements("-- ;\na;") == Texts{"-- ;\na;"});
    std::string trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;";
    CHECK(split_statements(trigger + "x;") == Texts{trigger, "x;"});
}

TEST_CASE("migrate: files in the order of their names") {
    std::vector<embedded::File> files = {
        {"migrations/0002_b.sql", "b"}, {"templates/x.sql", "x"}, {"migrations/0001_a.sql", "a"}};
    auto migrations = migrations_from(files);
    REQUIRE(migrations.size() == 2);
    CHECK(migrations[0].name == "0001_a");
    CHECK(migrations[1].sql == "b");
}

}  // namespace souk::test
