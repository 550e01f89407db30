// Forward-only migrations, embedded in the binary, checksummed in the table souk_migrations.
#pragma once

#include "souk/database.hpp"

#include <string>
#include <vector>

namespace souk::database {

/// The kernel's own tables that every module's database has (outbox, inbox, the bus's cursors).
const std::vector<Migration>& kernel_migrations();

struct MigrationReport {
    std::vector<std::string> applied;  // names, in order
};

/// Applies what is missing, kernel's first, each in a transaction of its own. A SQLite file that
/// holds tables is first copied to `<file>.before-<first missing>`. Errors: `invalid`
/// "schema_newer" when the database holds a migration that this binary does not know, `invalid`
/// "migration_changed" when an applied one has another checksum, "migration_malformed",
/// `unavailable` "copy_failed", and those of the statements, all with words that say what to do.
Task<Result<MigrationReport>> migrate(
    Database& database, const Clock& clock, std::vector<Migration> module_migrations
);

}  // namespace souk::database
