// How the writer's connection writes its write-ahead log: SQLite hands over each page in two
// writes, a header and the page, some forty for a commit of many orders. They lie one behind the
// other, so they are gathered and written in large pieces; what was handed over is in the file
// before it is read, cut or synced, and SQLite shows nobody a page that it has not synced
// (`synchronous = FULL`).
#pragma once

struct sqlite3;

namespace souk::database {

/// The name to open the writer's connection with; null, for SQLite's own way, when SQLite refused.
const char* log_writing_vfs();

/// After a rollback of `database`: from then on another process may write where that was to go.
void forget_gathered(sqlite3* database);

}  // namespace souk::database
