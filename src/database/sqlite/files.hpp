// What migrations need of SQLite beside the port: the statements of a script, a copy of a file.
#pragma once

#include "souk/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::database {

/// Splits by SQLite's own lexer, so that strings, comments and the bodies of triggers hold.
std::vector<std::string> split_statements(std::string_view script);

/// A consistent copy of the database `file` as last committed, while others use it; durable when it
/// returns, replaces `target`. Errors: `unavailable` "copy_failed".
Result<void> copy_database(const std::string& file, const std::string& target);

}  // namespace souk::database
