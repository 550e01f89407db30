#include "database/postgres/errors.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

namespace souk::database::postgres {
namespace {

std::string field(const pg_result* result, int code) {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? "" : text;
}

std::string_view constraint_code(std::string_view state) {
    if (state == "23505" || state == "23P01") return "unique_violation";
    if (state == "23503" || state == "23001") return "foreign_key_violation";
    if (state == "23502") return "not_null_violation";
    return "check_violation";  // also a trigger's own RAISE
}

std::string subject_of(const Complaint& complaint) {
    if (!complaint.constraint.empty()) return complaint.constraint;
    if (!complaint.column.empty()) return fmt::format("{}.{}", complaint.table, complaint.column);
    return complaint.message;
}

Error resource_error(const Complaint& complaint) {
    if (complaint.sqlstate == "53100")
        return unavailable(
            "disk_full",
            "the database server's disk is full: free some space, the database goes on by itself"
        );
    if (complaint.sqlstate == "53300")
        return unavailable(
            "too_many_connections",
            "the database server has no connection left: raise max_connections, or lower "
            "postgres.connections of each process"
        );
    return unavailable(
        "database", fmt::format("the database server lacks resources: {}", complaint.message)
    );
}

}  // namespace

Complaint::Complaint(const pg_result* result)
    : sqlstate(field(result, PG_DIAG_SQLSTATE))
    , message(field(result, PG_DIAG_MESSAGE_PRIMARY))
    , constraint(field(result, PG_DIAG_CONSTRAINT_NAME))
    , column(field(result, PG_DIAG_COLUMN_NAME))
    , table(field(result, PG_DIAG_TABLE_NAME)) {
    std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    fatal = severity == "FATAL" || severity == "PANIC" || sqlstate.empty();
    if (message.empty()) message = PQresultErrorMessage(result);
}

Error error_of(const Complaint& complaint, std::string_view statement) {
    std::string_view state = complaint.sqlstate;
    std::string_view group = state.substr(0, 2);
    std::string words = fmt::format("{}: {}", statement, complaint.message);
    if (group == "23" || state == "P0001")
        return conflict(std::string(constraint_code(state)), subject_of(complaint));
    if (state == "57014")
        return Error(ErrorKind::timeout, "timeout", "the deadline passed during a statement");
    if (state == "55P03")
        return unavailable("lock_timeout", "another transaction holds the rows for too long");
    if (state == "40001" || state == "40P01")
        return unavailable("serialization", "lost against other transactions, again and again");
    if (state == "22021" || state == "22P05") return text_error();
    if (state == "08P01") return Error(ErrorKind::internal, "sql_parameters", words);
    if (group == "53") return resource_error(complaint);
    if (group == "08" || group == "57" || group == "58" || state.empty()) return lost_error(words);
    if (group == "XX")
        return unavailable(
            "database_corrupt",
            fmt::format("the database reports damage, restore it from a backup ({})", words)
        );
    return Error(ErrorKind::internal, "sql_error", words);
}

Error text_error() {
    return invalid("invalid_text", "a text holds a NUL, or bytes that are not UTF-8");
}

bool is_worth_a_rerun(const Complaint& complaint) {
    return complaint.sqlstate == "40001" || complaint.sqlstate == "40P01";
}

bool is_stale_plan(const Complaint& complaint) {
    // 26000: the statement was never prepared, since the pipeline was aborted before. The words of
    // 0A000 are not translated where the server's language is English; else it stays an error.
    return complaint.sqlstate == "26000" ||
           (complaint.sqlstate == "0A000" &&
            complaint.message.find("cached plan") != std::string::npos);
}

bool is_read_only(const Complaint& complaint) {
    return complaint.sqlstate == "25006";
}

Error lost_error(std::string_view why) {
    return unavailable("database", fmt::format("the connection to the database is lost: {}", why));
}

}  // namespace souk::database::postgres
