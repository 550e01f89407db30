// A temporary folder and a SQLite database in it, with the migrations that a test names.
#pragma once

#include "base/system_clock.hpp"
#include "database/migrate.hpp"
#include "database/sqlite/sqlite_database.hpp"
#include "support/run_task.hpp"

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace souk::test {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "souk-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A SQLite database of its own, open and migrated. `database()` lives until `reopen` or the end.
class SqliteFixture {
public:
    explicit SqliteFixture(
        std::vector<Migration> migrations = {}, const Clock& clock = base::system_clock()
    )
        : SqliteFixture(std::move(migrations), clock, database::SqliteOptions{}) {}
    SqliteFixture(
        std::vector<Migration> migrations, const Clock& clock, database::SqliteOptions options
    )
        : migrations_(std::move(migrations)), clock_(clock), options_(std::move(options)) {
        options_.file = folder_.path() / "test.sqlite";
        reopen();
    }

    /// Closes and opens the same file, as a restart does.
    void reopen() {
        database_.reset();
        auto opened = database::open_sqlite(options_, clock_);
        database_ = std::move(opened).value();
        run_task(database::migrate(*database_, clock_, migrations_)).value();
    }
    void close() { database_.reset(); }

    Database& database() { return *database_; }
    const std::filesystem::path& file() const { return options_.file; }
    const std::filesystem::path& folder() const { return folder_.path(); }
    const Clock& clock() const { return clock_; }

private:
    TemporaryFolder folder_;
    std::vector<Migration> migrations_;
    const Clock& clock_;
    database::SqliteOptions options_;
    std::unique_ptr<Database> database_;
};

}  // namespace souk::test
