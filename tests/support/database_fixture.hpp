// Databases for tests, with the migrations that a test names: SQLite in a temporary folder,
// PostgreSQL in a schema of its own on the servers of the test run. `DatabaseFixture` is the one
// that SOUK_TEST_DATABASE names.
#pragma once

#include "base/system_clock.hpp"
#include "database/migrate.hpp"
#include "database/postgres/postgres_database.hpp"
#include "database/sqlite/sqlite_database.hpp"
#include "observe/prometheus_metrics.hpp"
#include "support/run_task.hpp"
#include "support/services.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
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

/// A context and the thread that runs it: where a PostgreSQL driver lives. The end waits until
/// nothing is under way there.
class Home {
public:
    Home() : work_(context_.get_executor()), thread_([this] { context_.run(); }) {}
    ~Home() {
        work_.reset();
        thread_.join();
    }
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    Executor executor() { return context_.get_executor(); }

private:
    asio::io_context context_{1};
    asio::executor_work_guard<Executor> work_;
    std::thread thread_;
};

/// An empty schema of its own on a PostgreSQL server, migrated. `database()` lives until `reopen`
/// or the end.
class PostgresFixture {
public:
    /// `clock` is not const for the driver alone: it sleeps by it.
    explicit PostgresFixture(
        std::vector<Migration> migrations = {}, Clock& clock = base::system_clock()
    )
        : PostgresFixture(std::move(migrations), clock, several()) {}
    /// `options.url` empty: a fresh schema.
    PostgresFixture(
        std::vector<Migration> migrations, Clock& clock, database::PostgresOptions options
    )
        : migrations_(std::move(migrations))
        , clock_(clock)
        , options_(std::move(options))
        , metrics_(observe::make_metrics()) {
        if (options_.url.empty()) options_.url = Services::shared().fresh_schema();
        reopen();
    }
    ~PostgresFixture() { close(); }
    PostgresFixture(const PostgresFixture&) = delete;
    PostgresFixture& operator=(const PostgresFixture&) = delete;

    void reopen() {
        close();
        home_.emplace();
        auto opened =
            run_task(database::open_postgres(options_, home_->executor(), clock_, *metrics_));
        database_ = std::move(opened).value();
        run_task(database::migrate(*database_, clock_, migrations_)).value();
    }
    /// Returns when the driver has closed its connections.
    void close() {
        database_.reset();
        home_.reset();
    }

    Database& database() { return *database_; }
    Clock& clock() const { return clock_; }
    const std::string& url() const { return options_.url; }
    Metrics& metrics() { return *metrics_; }

private:
    static database::PostgresOptions several() {
        database::PostgresOptions options;
        options.transactions = 4;
        return options;
    }

    std::vector<Migration> migrations_;
    Clock& clock_;
    database::PostgresOptions options_;
    std::unique_ptr<Metrics> metrics_;
    std::optional<Home> home_;
    std::unique_ptr<Database> database_;
};

/// SQLite, or PostgreSQL where SOUK_TEST_DATABASE says "postgres": what tests of modules use.
class DatabaseFixture {
public:
    explicit DatabaseFixture(
        std::vector<Migration> migrations = {}, Clock& clock = base::system_clock()
    ) {
        if (on_postgres())
            postgres_.emplace(std::move(migrations), clock);
        else
            sqlite_.emplace(std::move(migrations), clock);
    }

    static bool on_postgres() {
        const char* wanted = std::getenv("SOUK_TEST_DATABASE");
        std::string_view name = wanted == nullptr ? "sqlite" : wanted;
        if (name != "sqlite" && name != "postgres")
            throw std::runtime_error("SOUK_TEST_DATABASE is sqlite or postgres");
        return name == "postgres";
    }

    void reopen() { postgres_ ? postgres_->reopen() : sqlite_->reopen(); }
    void close() { postgres_ ? postgres_->close() : sqlite_->close(); }
    Database& database() { return postgres_ ? postgres_->database() : sqlite_->database(); }
    const Clock& clock() const { return postgres_ ? postgres_->clock() : sqlite_->clock(); }

private:
    std::optional<SqliteFixture> sqlite_;
    std::optional<PostgresFixture> postgres_;
};

}  // namespace souk::test
