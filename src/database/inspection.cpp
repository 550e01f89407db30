#include "database/inspection.hpp"

#include "database/migrate.hpp"
#include "souk/id.hpp"

#include <map>

namespace souk::database {
namespace {

constexpr Statement has_migrations{
    "inspect.has_migrations",
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'souk_migrations'",
    "SELECT (to_regclass('souk_migrations') IS NOT NULL)::int::bigint"};
constexpr Statement select_applied{
    "inspect.applied", "SELECT name, checksum FROM souk_migrations ORDER BY name"};
constexpr Statement select_state{
    "inspect.postgres",
    {},
    "SELECT current_setting('server_version'), "
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
    "current_setting('max_connections')::bigint - "
    "current_setting('superuser_reserved_connections')::bigint, "
    "pg_is_in_recovery()::int::bigint, "
    "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)::int::bigint"};
constexpr Statement quick_check{
    "inspect.quick_check", "SELECT quick_check FROM pragma_quick_check(1)"};

}  // namespace

Task<Result<SchemaState>> schema_state(
    Database& database, std::vector<Migration> module_migrations, Deadline deadline
) {
    std::map<std::string, std::string, std::less<>> applied;  // name → checksum
    auto exists = co_await database.query(has_migrations, Params(), deadline);
    if (!exists) co_return exists.error();
    if ((*exists)[0].boolean(0)) {
        auto rows = co_await database.query(select_applied, Params(), deadline);
        if (!rows) co_return rows.error();
        for (std::size_t i = 0; i < rows->size(); ++i)
            applied.emplace((*rows)[i].string(0), (*rows)[i].string(1));
    }
    std::vector<Migration> wanted = kernel_migrations();
    wanted.insert(wanted.end(), module_migrations.begin(), module_migrations.end());
    SchemaState state;
    for (const Migration& migration : wanted) {
        const auto found = applied.find(migration.name);
        if (found == applied.end()) {
            state.missing.emplace_back(migration.name);
            continue;
        }
        if (found->second != sha256_hex(migration.sql)) state.changed.push_back(found->first);
        applied.erase(found);
    }
    for (const auto& [name, checksum] : applied)
        state.unknown.push_back(name);
    co_return state;
}

Task<Result<PostgresState>> postgres_state(Database& database, Deadline deadline) {
    auto rows = co_await database.query(select_state, Params(), deadline);
    if (!rows) co_return rows.error();
    const auto row = (*rows)[0];
    PostgresState state;
    state.version = row.string(0);
    state.now = row.time(1);
    state.connection_limit = row.integer(2);
    state.replica = row.boolean(3);
    state.may_create = row.boolean(4);
    co_return state;
}

Task<Result<std::string>> sqlite_damage(Database& database, Deadline deadline) {
    auto rows = co_await database.query(quick_check, Params(), deadline);
    if (!rows) co_return rows.error();
    std::string said = (*rows)[0].string(0);
    co_return said == "ok" ? std::string() : said;
}

}  // namespace souk::database
