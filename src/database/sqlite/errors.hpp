// What SQLite's result codes mean to a caller.
#pragma once

#include "souk/error.hpp"

#include <string_view>

struct sqlite3;

namespace souk::database {

/// The last error of `connection`. `conflict` for violated constraints (see souk/database.hpp),
/// `timeout` for an interrupted read, `unavailable` for a disk that is full, broken or locked,
/// `internal` "sql_error" for what only a change of code or schema can mend.
Error sqlite_error(sqlite3* connection, std::string_view statement);

/// Why `file` could not be opened, with what to do. `code` is SQLite's extended result code,
/// `system_error` the errno behind it or 0.
Error open_error(std::string_view file, int code, int system_error);

}  // namespace souk::database
