#include "database/sqlite/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace souk::database {
namespace {

struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

Error copy_failed(const std::string& file, std::string_view why) {
    return unavailable(
        "copy_failed",
        fmt::format("cannot copy {} before its migration, nothing was changed: {}", file, why)
    );
}

bool sync_path(const std::string& path, int flags) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    if (fd < 0) return false;
    bool synced = ::fsync(fd) == 0;
    ::close(fd);
    return synced;
}

/// SQLite would create the file readable for all.
bool create_empty_private(const std::string& path) {
    ::unlink(path.c_str());
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    ::close(fd);
    return true;
}

/// Empty when done, SQLite's words otherwise.
std::string vacuum_into(const std::string& file, const std::string& target) {
    sqlite3* opened = nullptr;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
    std::unique_ptr<sqlite3, Close> connection(opened);
    if (code != SQLITE_OK) return sqlite3_errstr(code);
    // The writer alone checkpoints (see sqlite_database.cpp).
    sqlite3_db_config(opened, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_stmt* prepared = nullptr;
    code = sqlite3_prepare_v2(opened, "VACUUM INTO ?", -1, &prepared, nullptr);
    std::unique_ptr<sqlite3_stmt, Close> statement(prepared);
    if (code != SQLITE_OK) return sqlite3_errmsg(opened);
    sqlite3_bind_text(prepared, 1, target.c_str(), -1, SQLITE_STATIC);
    return sqlite3_step(prepared) == SQLITE_DONE ? "" : sqlite3_errmsg(opened);
}

}  // namespace

std::vector<std::string> split_statements(std::string_view script) {
    std::vector<std::string> statements;
    std::string current;
    for (char c : script) {
        current += c;
        if (c != ';' || sqlite3_complete(current.c_str()) == 0) continue;
        statements.push_back(std::move(current));
        current.clear();
    }
    if (current.find_first_not_of(" \t\r\n") != std::string::npos)
        statements.push_back(std::move(current));
    return statements;
}

Result<void> copy_database(const std::string& file, const std::string& target) {
    std::string partial = target + ".partial";
    if (!create_empty_private(partial)) return copy_failed(file, std::strerror(errno));
    if (std::string fault = vacuum_into(file, partial); !fault.empty()) {
        ::unlink(partial.c_str());
        return copy_failed(file, fault);
    }
    std::string folder = std::filesystem::path(target).parent_path().string();
    if (!sync_path(partial, O_RDWR) || std::rename(partial.c_str(), target.c_str()) != 0 ||
        !sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY))
        return copy_failed(file, std::strerror(errno));
    return {};
}

}  // namespace souk::database
