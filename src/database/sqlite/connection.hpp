// One connection to a SQLite file and its prepared statements. Used by one thread at a time.
#pragma once

#include "souk/database.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

struct sqlite3;
struct sqlite3_stmt;

namespace souk::database {

enum class Role : std::uint8_t { writer, reader };

class Connection {
public:
    /// The writer creates the file (mode 0600) when there is none. Errors: `unavailable`
    /// "database_open".
    static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file, Role role);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs one statement to its end. A named statement stays prepared; the same name with another
    /// text throws `std::logic_error`. Errors: see errors.hpp; `internal` "sql_parameters" when the
    /// text and `params` do not match.
    Result<Rows> execute(const Statement& statement, const Params& params);
    /// BEGIN, COMMIT and their like.
    Result<void> control(const Statement& statement);

    /// False once SQLite itself has rolled back (disk full, I/O error) or committed.
    bool in_transaction() const;
    /// True when a deferred foreign key would make COMMIT fail.
    bool has_deferred_violations() const;
    /// Pages in the write-ahead log after the last COMMIT.
    int wal_pages() const { return wal_pages_; }
    /// Moves the log into the file. The writer's only. `restart` waits (shortly) for readers.
    void checkpoint(bool restart);
    /// Reads that go on after `deadline` end as `timeout`.
    void set_deadline(const Clock& clock, Deadline deadline);

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    using Handle = std::unique_ptr<sqlite3_stmt, Finalize>;
    struct Prepared {
        std::string sql;
        Handle handle;
        std::vector<std::size_t> parameters;  // SQLite's position → index into Params
        std::size_t parameter_count = 0;
    };
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const {
            return std::hash<std::string_view>()(name);
        }
    };
    struct Watch {  // what the progress handler looks at
        const Clock* clock = nullptr;
        Deadline deadline = Deadline::never();
    };

    Connection() = default;
    Result<void> configure(Role role);
    Result<Prepared> prepare(const Statement& statement);
    Result<Rows> run(const Statement& statement, Prepared& prepared, const Params& params);
    Result<Rows> step_all(sqlite3_stmt* handle, std::string_view name);

    sqlite3* db_ = nullptr;
    int wal_pages_ = 0;
    Watch watch_;
    std::unordered_map<std::string, Prepared, NameHash, std::equal_to<>> prepared_;
};

}  // namespace souk::database
