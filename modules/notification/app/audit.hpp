// What souk verify reads.
#pragma once

#include "souk/context.hpp"
#include "souk/database.hpp"
#include "souk/json.hpp"

#include <string>

namespace souk::notification::app {

struct AuditPage {
    AuditPage() = default;
    json::array rows;
    std::string next_cursor;  // empty: no more
};

/// All mails in order of id. Errors: `invalid` "bad_cursor"; the database's.
Task<Result<AuditPage>> audit(
    Database& database, CallContext ctx, std::string cursor, std::size_t limit
);

}  // namespace souk::notification::app
