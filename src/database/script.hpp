// The text of a migration: its parts for one dialect.
#pragma once

#include "souk/database.hpp"

#include <string>
#include <string_view>

namespace souk::database {

/// Keeps the lines for `dialect`: `-- only: sqlite` and `-- only: postgres`, each on a line of its
/// own, start a part for one dialect, `-- both` ends it. Lines keep their numbers. Errors:
/// `invalid` "migration_malformed" for another word after `-- only:`.
Result<std::string> part_for(std::string_view sql, Dialect dialect);

}  // namespace souk::database
