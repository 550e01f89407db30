// What `souk doctor` asks a database. Changes nothing, and takes a database in any state.
#pragma once

#include "souk/database.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace souk::database {

/// Names of migrations; all empty when the schema is that of this binary.
struct SchemaState {
    std::vector<std::string> missing;  // this binary applies them when it starts
    std::vector<std::string> unknown;  // of a newer version
    std::vector<std::string> changed;  // applied with another text
};

/// Errors: the database's.
Task<Result<SchemaState>> schema_state(
    Database& database, std::vector<Migration> module_migrations, Deadline deadline
);

/// What PostgreSQL says of itself and of the role that asks.
struct PostgresState {
    std::string version;
    Timestamp now{};
    std::int64_t connection_limit = 0;  // of the server, for ordinary roles
    bool replica = false;
    bool may_create = false;  // tables in the first schema of its search path
};

/// Errors: the database's.
Task<Result<PostgresState>> postgres_state(Database& database, Deadline deadline);

/// SQLite's own check of the file; empty when it finds nothing. Errors: the database's.
Task<Result<std::string>> sqlite_damage(Database& database, Deadline deadline);

}  // namespace souk::database
