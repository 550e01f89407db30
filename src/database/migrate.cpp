#include "database/migrate.hpp"

#include "database/postgres/lexer.hpp"
#include "database/script.hpp"
#include "database/sqlite/files.hpp"
#include "souk/id.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

namespace souk::embedded {
std::span<const File> kernel_migrations_files();
}  // namespace souk::embedded

namespace souk::database {
namespace {

constexpr Statement create_table{
    "migrate.create_table",
    "CREATE TABLE IF NOT EXISTS souk_migrations (name TEXT NOT NULL PRIMARY KEY, "
    "checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)"};
constexpr Statement select_applied{
    "migrate.applied", "SELECT name, checksum FROM souk_migrations ORDER BY name"};
constexpr Statement insert_applied{
    "migrate.insert",
    "INSERT INTO souk_migrations (name, checksum, applied_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (name) DO NOTHING"};
// Held to the end of the transaction: of several processes that start at once one goes on.
constexpr Statement lock_schema{
    "migrate.lock",
    "SELECT 0",
    "SELECT count(*) FROM (SELECT "
    "pg_advisory_xact_lock(hashtextextended('souk_migrations.' || current_schema(), 0))) AS "
    "locked"};
constexpr Statement count_tables{
    "migrate.count_tables",
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name <> 'souk_migrations' "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"};
constexpr Statement select_file{
    "migrate.file", "SELECT file FROM pragma_database_list WHERE name = 'main'"};

struct Step {
    Step(const Migration& migration, std::vector<std::string> statements)
        : name(migration.name)
        , checksum(sha256_hex(migration.sql))
        , statements(std::move(statements)) {}
    std::string name;
    std::string checksum;
    std::vector<std::string> statements;
};
using Steps = std::vector<Step>;
using Applied = std::map<std::string, std::string, std::less<>>;  // name → checksum

Result<Steps> steps_of(const std::vector<Migration>& migrations, Dialect dialect) {
    Steps steps;
    for (const Migration& migration : migrations) {
        auto same = [&](const Step& step) { return step.name == migration.name; };
        if (std::any_of(steps.begin(), steps.end(), same))
            throw std::logic_error("two migrations are named " + std::string(migration.name));
        auto part = part_for(migration.sql, dialect);
        if (!part) return part.error();
        bool sqlite = dialect == Dialect::sqlite;
        steps.emplace_back(
            migration, sqlite ? split_statements(*part) : postgres::split_script(*part)
        );
    }
    return steps;
}

Task<Result<void>> read_applied(Transaction& tx, Applied& applied) {
    applied.clear();
    auto locked = co_await tx.execute(lock_schema);
    if (!locked) co_return locked.error();
    auto created = co_await tx.execute(create_table);
    if (!created) co_return created.error();
    auto rows = co_await tx.execute(select_applied);
    if (!rows) co_return rows.error();
    for (std::size_t i = 0; i < rows->size(); ++i)
        applied.emplace((*rows)[i].string(0), (*rows)[i].string(1));
    co_return Result<void>();
}

Result<void> check(const Applied& applied, const Steps& steps) {
    for (const auto& [name, checksum] : applied) {
        auto same = [&, &name = name](const Step& step) { return step.name == name; };
        auto step = std::find_if(steps.begin(), steps.end(), same);
        if (step == steps.end()) {
            if (!contracts(name)) continue;
            return invalid(
                "schema_newer",
                fmt::format(
                    "the database has the migration {}, which takes away what this version needs: "
                    "run the version that wrote it, or restore the copy made before that migration",
                    name
                )
            );
        }
        if (step->checksum != checksum)
            return invalid(
                "migration_changed",
                fmt::format(
                    "the migration {} was changed after it had been applied: restore its text and "
                    "put the change into a new migration",
                    name
                )
            );
    }
    return {};
}

/// On the writer's thread, while it holds the file's write lock: nothing changes meanwhile.
Task<Result<void>> copy_first(Transaction& tx, std::string name) {
    auto tables = co_await tx.execute(count_tables);
    if (!tables) co_return tables.error();
    if ((*tables)[0].integer(0) == 0) co_return Result<void>();
    auto file = co_await tx.execute(select_file);
    if (!file) co_return file.error();
    std::string path = (*file)[0].string(0);
    co_return copy_database(path, fmt::format("{}.before-{}", path, name));
}

Task<Result<void>> apply(Transaction& tx, const Step& step, Timestamp now, bool& mine) {
    mine = false;
    auto locked = co_await tx.execute(lock_schema);
    if (!locked) co_return locked.error();
    // First the row: of several processes that start at once one inserts it.
    Params row = bind(step.name, step.checksum, now);
    auto inserted = co_await tx.execute(insert_applied, std::move(row));
    if (!inserted) co_return inserted.error();
    if (inserted->affected() == 0) co_return Result<void>();
    mine = true;
    for (const std::string& sql : step.statements) {
        Statement statement{{}, sql};
        auto done = co_await tx.execute(statement);
        if (!done) {
            Error error = done.error();
            error.detail = fmt::format("migration {}: {}", step.name, error.detail);
            co_return error;
        }
    }
    co_return Result<void>();
}

}  // namespace

bool contracts(std::string_view migration) {
    return migration.find("_contract_") != std::string_view::npos;
}

const std::vector<Migration>& kernel_migrations() {
    static const auto all = migrations_from(embedded::kernel_migrations_files());
    return all;
}

Task<Result<MigrationReport>> migrate(
    Database& database, const Clock& clock, std::vector<Migration> module_migrations
) {
    std::vector<Migration> all = kernel_migrations();
    all.insert(all.end(), module_migrations.begin(), module_migrations.end());
    auto steps = steps_of(all, database.dialect());
    if (!steps) co_return steps.error();

    Applied applied;
    TransactionBody read = [&applied](Transaction& tx) { return read_applied(tx, applied); };
    auto known = co_await database.transact(std::move(read), Deadline::never());
    if (!known) co_return known.error();
    if (auto sound = check(applied, *steps); !sound) co_return sound.error();

    MigrationReport report;
    for (const Step& step : *steps) {
        if (applied.contains(step.name)) continue;
        if (report.applied.empty() && database.dialect() == Dialect::sqlite) {
            TransactionBody copy = [&step](Transaction& tx) { return copy_first(tx, step.name); };
            auto copied = co_await database.transact(std::move(copy), Deadline::never());
            if (!copied) co_return copied.error();
        }
        Timestamp now = clock.now();
        bool mine = false;
        TransactionBody body = [&step, now, &mine](Transaction& tx) {
            return apply(tx, step, now, mine);
        };
        auto done = co_await database.transact(std::move(body), Deadline::never());
        if (!done) co_return done.error();
        if (mine) report.applied.push_back(step.name);
    }
    co_return report;
}

}  // namespace souk::database
