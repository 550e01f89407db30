#include "database/sqlite/connection.hpp"

#include "database/sqlite/errors.hpp"
#include "database/sqlite/log_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <stdexcept>

namespace souk::database {
namespace {

// Statements are constants of the code, so this is far away; beyond it they are prepared each time.
constexpr std::size_t prepared_limit = 512;
constexpr int instructions_between_looks = 10'000;

/// The same on every connection. `cache_size` is in KiB: six files with a writer and a reader each
/// must idle in a few MB; the system's page cache holds the rest.
constexpr const char* common_pragmas =
    "PRAGMA busy_timeout = 250; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
    "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cache_size = -1024;"
    // Checkpoints are the writer's own, after it has answered.
    "PRAGMA wal_autocheckpoint = 0;";
constexpr const char* writer_pragmas =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;";
constexpr const char* reader_pragmas = "PRAGMA query_only = ON;";

/// Once, before SQLite is first used. Its statistics of memory take a lock that all connections
/// share, for each allocation. Its caches would begin with 20 pages each, also those of the small
/// tables that statements make for themselves (RETURNING, a CHECK with a list), many an order.
void configure_library() {
    static const int done = [] {
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        return sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
    }();
    static_cast<void>(done);  // refused when somebody was first: only slower
}

/// Creates the file for its owner only; SQLite gives its -wal and -shm the same mode.
int create_private(const std::string& file) {
    int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
}

int remember_wal_pages(void* pages, sqlite3*, const char*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
}

int bind_value(sqlite3_stmt* handle, int position, const Value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return sqlite3_bind_int64(handle, position, *integer);
    if (const auto* text = std::get_if<std::string>(&value))
        // The text outlives the statement's run: no copy.
        return sqlite3_bind_text64(
            handle, position, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8
        );
    return sqlite3_bind_null(handle, position);
}

bool add_cell(Rows& rows, sqlite3_stmt* handle, int column) {
    switch (sqlite3_column_type(handle, column)) {
        case SQLITE_NULL:
            rows.add_null();
            return true;
        case SQLITE_INTEGER:
            rows.add_integer(sqlite3_column_int64(handle, column));
            return true;
        case SQLITE_FLOAT:
            return false;
        default: {
            const void* data = sqlite3_column_blob(handle, column);
            auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle, column));
            rows.add_text(std::string_view(static_cast<const char*>(data), size));
            return true;
        }
    }
}

/// "$12" → index 11.
std::optional<std::size_t> parameter_index(const char* name) {
    std::string_view text = name == nullptr ? "" : name;
    std::size_t number = 0;
    if (text.size() < 2 || text[0] != '$') return std::nullopt;
    auto [rest, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
    if (error != std::errc{} || rest != text.data() + text.size() || number == 0)
        return std::nullopt;
    return number - 1;
}

Error parameter_error(const Statement& statement, std::string_view why) {
    return Error(ErrorKind::internal, "sql_parameters", fmt::format("{}: {}", statement.name, why));
}

}  // namespace

void Connection::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& file, Role role) {
    configure_library();
    std::string path = file.string();
    if (role == Role::writer)
        if (int error = create_private(path)) return open_error(path, SQLITE_CANTOPEN, error);
    std::unique_ptr<Connection> self(new Connection());
    // READWRITE for readers too: a read-only handle cannot take part in the log's shared memory
    // when it has to be rebuilt; `query_only` refuses writes.
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const char* vfs = role == Role::writer ? log_writing_vfs() : nullptr;
    int code = sqlite3_open_v2(path.c_str(), &self->db_, flags, vfs);
    if (code != SQLITE_OK)
        return open_error(path, code, self->db_ ? sqlite3_system_errno(self->db_) : 0);
    if (auto configured = self->configure(role); !configured)
        return open_error(
            path, sqlite3_extended_errcode(self->db_), sqlite3_system_errno(self->db_)
        );
    return self;
}

Result<void> Connection::configure(Role role) {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    if (role == Role::reader) sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    for (const char* sql :
         {common_pragmas,
          role == Role::writer ? writer_pragmas : reader_pragmas,
          "SELECT count(*) FROM sqlite_master"})
        if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
            return sqlite_error(db_, "open");
    if (role == Role::writer) {
        sqlite3_wal_hook(db_, remember_wal_pages, &wal_pages_);
        auto forget = [](void* db) { forget_gathered(static_cast<sqlite3*>(db)); };
        sqlite3_rollback_hook(db_, forget, db_);
    }
    return {};
}

Connection::~Connection() {
    prepared_.clear();
    sqlite3_close_v2(db_);
}

Result<Connection::Prepared> Connection::prepare(const Statement& statement) {
    sqlite3_stmt* handle = nullptr;
    const char* tail = nullptr;
    unsigned flags = statement.name.empty() ? 0 : SQLITE_PREPARE_PERSISTENT;
    int code = sqlite3_prepare_v3(
        db_, statement.sql.data(), static_cast<int>(statement.sql.size()), flags, &handle, &tail
    );
    Prepared prepared{std::string(statement.sql), Handle(handle), {}, 0};
    if (code != SQLITE_OK) return sqlite_error(db_, statement.name);
    std::string_view rest(tail, statement.sql.data() + statement.sql.size());
    if (rest.find_first_not_of(" \t\r\n;") != std::string_view::npos)
        return Error(
            ErrorKind::internal, "sql_error", fmt::format("{}: several statements", statement.name)
        );
    for (int i = 1; i <= sqlite3_bind_parameter_count(handle); ++i) {
        auto index = parameter_index(sqlite3_bind_parameter_name(handle, i));
        if (!index) return parameter_error(statement, "parameters are written $1, $2, ...");
        prepared.parameters.push_back(*index);
        prepared.parameter_count = std::max(prepared.parameter_count, *index + 1);
    }
    return prepared;
}

Result<Rows> Connection::execute(const Statement& statement, const Params& params) {
    if (auto found = prepared_.find(statement.name); found != prepared_.end()) {
        if (found->second.sql != statement.sql)
            throw std::logic_error("two statements are named " + std::string(statement.name));
        return run(statement, found->second, params);
    }
    auto prepared = prepare(statement);
    if (!prepared) return prepared.error();
    if (statement.name.empty() || prepared_.size() >= prepared_limit)
        return run(statement, *prepared, params);
    std::string name(statement.name);
    auto& kept = prepared_.emplace(std::move(name), std::move(*prepared)).first->second;
    return run(statement, kept, params);
}

Result<void> Connection::control(const Statement& statement) {
    auto done = execute(statement, {});
    if (!done) return done.error();
    return {};
}

Result<Rows> Connection::run(const Statement& statement, Prepared& prepared, const Params& params) {
    sqlite3_stmt* handle = prepared.handle.get();
    if (handle == nullptr) return Rows();  // nothing but comments
    const std::size_t used = prepared.parameter_count;
    if (used != params.size())
        return parameter_error(statement, fmt::format("{} parameters for {}", params.size(), used));
    for (std::size_t i = 0; i < prepared.parameters.size(); ++i)
        if (bind_value(handle, static_cast<int>(i) + 1, params[prepared.parameters[i]]) !=
            SQLITE_OK) {
            sqlite3_clear_bindings(handle);
            return sqlite_error(db_, statement.name);
        }
    auto rows = step_all(handle, statement.name);
    sqlite3_reset(handle);
    sqlite3_clear_bindings(handle);
    return rows;
}

Result<Rows> Connection::step_all(sqlite3_stmt* handle, std::string_view name) {
    Rows rows;
    auto changes_before = sqlite3_total_changes64(db_);
    int code = sqlite3_step(handle);
    int columns = sqlite3_column_count(handle);  // after the step: it may have prepared anew
    rows.start(static_cast<std::size_t>(columns));
    for (; code == SQLITE_ROW; code = sqlite3_step(handle))
        for (int column = 0; column < columns; ++column)
            if (!add_cell(rows, handle, column))
                return Error(
                    ErrorKind::internal,
                    "sql_type",
                    fmt::format("{}: column {} is a floating point number", name, column)
                );
    if (code != SQLITE_DONE) return sqlite_error(db_, name);
    // CREATE TABLE and its like leave the count of the statement before them.
    bool changed = sqlite3_total_changes64(db_) != changes_before;
    rows.set_affected(changed ? sqlite3_changes64(db_) : 0);
    return rows;
}

bool Connection::in_transaction() const {
    return sqlite3_get_autocommit(db_) == 0;
}

bool Connection::has_deferred_violations() const {
    int current = 0;
    int highest = 0;
    sqlite3_db_status(db_, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0);
    return current != 0;
}

void Connection::checkpoint(bool restart) {
    int mode = restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    int pages = 0;
    int moved = 0;
    // A failure (a reader in the way, a full disk) loses nothing: the log keeps what was not moved.
    int code = sqlite3_wal_checkpoint_v2(db_, nullptr, mode, &pages, &moved);
    if (code == SQLITE_OK && pages == moved) wal_pages_ = 0;
}

void Connection::set_deadline(const Clock& clock, Deadline deadline) {
    watch_.clock = &clock;
    watch_.deadline = deadline;
    auto passed = [](void* watch) {
        const auto& at = *static_cast<const Watch*>(watch);
        return at.deadline.passed(*at.clock) ? 1 : 0;
    };
    sqlite3_progress_handler(db_, instructions_between_looks, passed, &watch_);
}

}  // namespace souk::database
