// Forward-only migrations, embedded in the binary, checksummed in the table souk_migrations.
#pragma once

#include "souk/database.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::database {

/// The kernel's own tables that every module's database has (outbox, inbox, the bus's cursors).
const std::vector<Migration>& kernel_migrations();

/// Whether a step takes away what the version before it may need: its name says so
/// ("0007_contract_..."). All others only add: during a rolling update the version before works on
/// beside them, and is started again; so it passes over those that it does not know.
bool contracts(std::string_view migration);

struct MigrationReport {
    std::vector<std::string> applied;  // names, in order
};

/// Applies what is missing, kernel's first, each in a transaction of its own. A SQLite file that
/// holds tables is first copied to `<file>.before-<first missing>`. Errors: `invalid`
/// "schema_newer" when the database holds a contracting migration that this binary does not know,
/// `invalid` "migration_changed" when an applied one has another checksum, "migration_malformed",
/// `unavailable` "copy_failed", and those of the statements, all with words that say what to do.
Task<Result<MigrationReport>> migrate(
    Database& database, const Clock& clock, std::vector<Migration> module_migrations
);

}  // namespace souk::database
