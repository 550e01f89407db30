#include "database/sqlite/errors.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace souk::database {
namespace {

/// "UNIQUE constraint failed: orders.id" → "orders.id"; a trigger's own words as they are.
std::string subject_of(std::string_view message) {
    auto colon = message.find(": ");
    return std::string(colon == std::string_view::npos ? message : message.substr(colon + 2));
}

std::string_view constraint_code(int extended) {
    switch (extended) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
            return "unique_violation";
        case SQLITE_CONSTRAINT_FOREIGNKEY:
            return "foreign_key_violation";
        case SQLITE_CONSTRAINT_NOTNULL:
            return "not_null_violation";
        default:  // CHECK, a trigger's RAISE, the type of a STRICT table
            return "check_violation";
    }
}

std::string_view disk_words(int primary) {
    switch (primary) {
        case SQLITE_FULL:
            return "the disk is full: free some space, the database goes on by itself";
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return "another program holds the database file: stop it";
        case SQLITE_NOMEM:
            return "out of memory";
        default:
            return "the disk reports an error: look at the system's log";
    }
}

}  // namespace

Error sqlite_error(sqlite3* connection, std::string_view statement) {
    int extended = sqlite3_extended_errcode(connection);
    int primary = extended & 0xff;
    std::string message = sqlite3_errmsg(connection);
    switch (primary) {
        case SQLITE_CONSTRAINT:
            return conflict(std::string(constraint_code(extended)), subject_of(message));
        case SQLITE_INTERRUPT:
            return Error(ErrorKind::timeout, "timeout", "the deadline passed during a query");
        case SQLITE_FULL:
            return unavailable("disk_full", std::string(disk_words(primary)));
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_IOERR:
        case SQLITE_NOMEM:
            return unavailable(
                "database", fmt::format("{} ({}, {})", disk_words(primary), message, extended)
            );
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return unavailable(
                "database_corrupt",
                fmt::format("the database file is damaged, restore it from a backup ({})", message)
            );
        default:
            return Error(
                ErrorKind::internal, "sql_error", fmt::format("{}: {}", statement, message)
            );
    }
}

Error open_error(std::string_view file, int code, int system_error) {
    std::string why;
    switch (code & 0xff) {
        case SQLITE_NOTADB:
            why = "it is not a SQLite database: name another file or move this one away";
            break;
        case SQLITE_CORRUPT:
            why = "it is damaged: restore it from a backup";
            break;
        case SQLITE_FULL:
            why = "the disk is full: free some space";
            break;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            why = "another program holds it: stop that first";
            break;
        case SQLITE_READONLY:
        case SQLITE_PERM:
            why = "no permission to write it: check its owner and mode";
            break;
        default:
            why = "check the path and its permissions";
    }
    if (system_error == ENOENT || system_error == ENOTDIR)
        why = "its folder does not exist: create it or name another";
    if (system_error == EACCES || system_error == EPERM || system_error == EROFS)
        why = "no permission to write it: check the owner and mode of the file and its folder";
    if (system_error == EISDIR) why = "it is a folder: name a file";
    if (system_error == ENOSPC) why = "the disk is full: free some space";
    std::string cause = system_error != 0 ? std::strerror(system_error) : sqlite3_errstr(code);
    return unavailable("database_open", fmt::format("cannot open {}: {} ({})", file, why, cause));
}

}  // namespace souk::database
