#include "database/sqlite/log_file.hpp"

#include <sqlite3.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

namespace souk::database {
namespace {

constexpr std::size_t most_gathered = 64 << 10;

/// SQLite gives the memory for both: the real file lies behind this one.
struct LogFile {
    sqlite3_file base;  // first, as SQLite knows us by it
    std::vector<char>* gathered;
    sqlite3_int64 begin;  // of what is gathered, in the file
};
constexpr std::size_t log_file_size = (sizeof(LogFile) + 15) / 16 * 16;

sqlite3_vfs* system_vfs = nullptr;

LogFile& log_of(sqlite3_file* file) {
    return *reinterpret_cast<LogFile*>(file);
}

sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + log_file_size);
}

/// What cannot be written stays: a statement that failed so may be undone alone, and the rest of
/// its transaction committed, with pages that are gathered here.
int write_out(sqlite3_file* file) {
    std::vector<char>& gathered = *log_of(file).gathered;
    if (gathered.empty()) return SQLITE_OK;
    sqlite3_file* to = real(file);
    const int size = static_cast<int>(gathered.size());
    const int code = to->pMethods->xWrite(to, gathered.data(), size, log_of(file).begin);
    if (code == SQLITE_OK) gathered.clear();
    return code;
}

/// What is gathered still was never committed.
int close_log(sqlite3_file* file) {
    delete log_of(file).gathered;
    return real(file)->pMethods->xClose(real(file));
}

/// On a full disk a rollback, which reads what came before, must not fail for what it undoes.
int read_log(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    const LogFile& log = log_of(file);
    const auto end = log.begin + static_cast<sqlite3_int64>(log.gathered->size());
    if (at < end && at + size > log.begin)
        if (const int code = write_out(file)) return code;
    return real(file)->pMethods->xRead(real(file), to, size, at);
}

int write_log(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    LogFile& log = log_of(file);
    std::vector<char>& gathered = *log.gathered;
    const auto more = static_cast<std::size_t>(size);
    const bool follows = at == log.begin + static_cast<sqlite3_int64>(gathered.size());
    if (!follows || gathered.size() + more > most_gathered) {
        if (const int code = write_out(file)) return code;
        log.begin = at;
    }
    if (more > most_gathered) return real(file)->pMethods->xWrite(real(file), from, size, at);
    const auto* bytes = static_cast<const char*>(from);
    try {
        gathered.insert(gathered.end(), bytes, bytes + more);
    } catch (const std::bad_alloc&) {
        return SQLITE_IOERR_NOMEM;
    }
    return SQLITE_OK;
}

int truncate_log(sqlite3_file* file, sqlite3_int64 size) {
    if (const int code = write_out(file)) return code;
    return real(file)->pMethods->xTruncate(real(file), size);
}

int sync_log(sqlite3_file* file, int flags) {
    if (const int code = write_out(file)) return code;
    return real(file)->pMethods->xSync(real(file), flags);
}

int size_of_log(sqlite3_file* file, sqlite3_int64* size) {
    if (const int code = write_out(file)) return code;
    return real(file)->pMethods->xFileSize(real(file), size);
}

int lock_log(sqlite3_file* file, int level) {
    return real(file)->pMethods->xLock(real(file), level);
}

int unlock_log(sqlite3_file* file, int level) {
    return real(file)->pMethods->xUnlock(real(file), level);
}

int log_is_reserved(sqlite3_file* file, int* reserved) {
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}

int control_log(sqlite3_file* file, int operation, void* argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

int sector_of_log(sqlite3_file* file) {
    return real(file)->pMethods->xSectorSize(real(file));
}

int traits_of_log(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

/// Version 1: a log is neither shared memory nor mapped.
constexpr sqlite3_io_methods methods_of_log = {
    .iVersion = 1,
    .xClose = close_log,
    .xRead = read_log,
    .xWrite = write_log,
    .xTruncate = truncate_log,
    .xSync = sync_log,
    .xFileSize = size_of_log,
    .xLock = lock_log,
    .xUnlock = unlock_log,
    .xCheckReservedLock = log_is_reserved,
    .xFileControl = control_log,
    .xSectorSize = sector_of_log,
    .xDeviceCharacteristics = traits_of_log,
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* opened) {
    if ((flags & SQLITE_OPEN_WAL) == 0)
        return system_vfs->xOpen(system_vfs, name, file, flags, opened);
    file->pMethods = nullptr;  // nothing to close, should it fail
    const int code = system_vfs->xOpen(system_vfs, name, real(file), flags, opened);
    if (code != SQLITE_OK) return code;
    log_of(file).gathered = new (std::nothrow) std::vector<char>();
    log_of(file).begin = 0;
    if (log_of(file).gathered == nullptr) {
        real(file)->pMethods->xClose(real(file));
        return SQLITE_NOMEM;
    }
    file->pMethods = &methods_of_log;
    return SQLITE_OK;
}

}  // namespace

void forget_gathered(sqlite3* database) {
    sqlite3_file* file = nullptr;
    sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (file != nullptr && file->pMethods == &methods_of_log) log_of(file).gathered->clear();
}

const char* log_writing_vfs() {
    static const char* const name = []() -> const char* {
        constexpr const char* own = "souk";
        static sqlite3_vfs vfs;
        system_vfs = sqlite3_vfs_find(nullptr);
        if (system_vfs == nullptr) return nullptr;
        vfs = *system_vfs;  // all else is the system's
        vfs.pNext = nullptr;
        vfs.zName = own;
        vfs.szOsFile = static_cast<int>(log_file_size) + system_vfs->szOsFile;
        vfs.xOpen = open_file;
        return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? own : nullptr;
    }();
    return name;
}

}  // namespace souk::database
