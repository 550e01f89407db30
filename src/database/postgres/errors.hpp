// The server's errors in the words of the port.
#pragma once

#include "souk/error.hpp"

#include <string>
#include <string_view>

struct pg_result;

namespace souk::database::postgres {

/// What the server said of one statement.
struct Complaint {
    Complaint() = default;
    explicit Complaint(const pg_result* result);

    std::string sqlstate;  // empty: libpq's own words, the connection is gone
    std::string message;
    std::string constraint;
    std::string column;
    std::string table;
    bool fatal = false;  // the server ends the connection
};

/// `statement`: its name. See souk/database.hpp for the codes.
Error error_of(const Complaint& complaint, std::string_view statement);

/// Lost a serialization or a deadlock: the same body may succeed when it runs again.
bool is_worth_a_rerun(const Complaint& complaint);
/// The plan of a prepared statement is of no use any more: prepare it again.
bool is_stale_plan(const Complaint& complaint);
/// After a failover this server only reads.
bool is_read_only(const Complaint& complaint);

/// `invalid` "invalid_text": the caller's, whatever the statement.
Error text_error();
/// Nothing happened, the server is away.
Error lost_error(std::string_view why);

}  // namespace souk::database::postgres
