// The embedded database: one SQLite file a module, WAL, `synchronous=FULL`. One thread owns the
// only connection that writes and checkpoints; it commits many waiting transactions together, a
// SAVEPOINT each, and answers them after the COMMIT. A few readers (`query_only`, no checkpoint)
// serve query().
#pragma once

#include "souk/database.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>

namespace souk::database {

struct SqliteOptions {
    std::filesystem::path file;
    std::size_t readers = 1;         // threads, each with a connection
    std::size_t queue_limit = 1024;  // waiting transactions or queries; then `unavailable` "busy"
    std::size_t transactions_per_commit = 256;
    // Called on the writer's thread after each COMMIT with the number of transactions in it.
    std::function<void(std::size_t)> committed = {};
};

/// Opens or creates the file. Errors: `unavailable` "database_open" (no folder, no permission, full
/// disk, not a database) with words that say what to do.
Result<std::unique_ptr<Database>> open_sqlite(SqliteOptions options, const Clock& clock);

}  // namespace souk::database
