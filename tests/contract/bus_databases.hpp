// The databases of a BusWorld: where its modules keep their data, and drivers that count what
// passes and are away, or take no end, when told so.
#pragma once

#include "database/sqlite/sqlite_database.hpp"
#include "souk/database.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace souk::test {

/// The data of a world's modules. Outlives the drivers that it opens.
class Storage {
public:
    virtual ~Storage() = default;
    /// One more driver on the module's data; as another process has it, where that may be.
    virtual Task<Result<std::unique_ptr<Database>>> open(std::string module) = 0;
};

/// A file a module, which one process opens.
class SqliteStorage final : public Storage {
public:
    SqliteStorage(const std::string& name, const Clock& clock)
        : folder_(std::filesystem::temp_directory_path() / name), clock_(clock) {
        std::filesystem::create_directories(folder_);
    }
    ~SqliteStorage() override { std::filesystem::remove_all(folder_); }
    SqliteStorage(const SqliteStorage&) = delete;
    SqliteStorage& operator=(const SqliteStorage&) = delete;

    Task<Result<std::unique_ptr<Database>>> open(std::string module) override {
        database::SqliteOptions file;
        file.file = folder_ / (module + ".db");
        co_return database::open_sqlite(std::move(file), clock_);
    }

private:
    const std::filesystem::path folder_;
    const Clock& clock_;
};

class ProbedDatabase final : public Database {
public:
    ProbedDatabase(std::unique_ptr<Database> inner, Clock& clock)
        : inner_(std::move(inner)), clock_(clock) {}
    Task<Result<Rows>> query(const Statement& s, Params params, Deadline deadline) override {
        const Call call(under_way);
        ++queries;
        if (away) co_return unavailable("away", "told to be away");
        co_return co_await inner_->query(s, std::move(params), deadline);
    }
    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        const Call call(under_way);
        if (away) co_return unavailable("away", "told to be away");
        ++transactions;
        while (stuck)
            co_await clock_.sleep(milliseconds(1));
        Result<void> done = co_await inner_->transact(std::move(body), deadline);
        if (done) ++commits;
        co_return done;
    }
    Dialect dialect() const override { return inner_->dialect(); }

    int queries = 0;
    int transactions = 0;
    int commits = 0;
    int under_way = 0;  // calls that are not answered yet
    bool away = false;
    bool stuck = false;

private:
    class Call {
    public:
        explicit Call(int& under_way) : under_way_(under_way) { ++under_way_; }
        ~Call() { --under_way_; }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

    private:
        int& under_way_;
    };

    std::unique_ptr<Database> inner_;
    Clock& clock_;
};

/// Those of a process, by module.
using Databases = std::map<std::string, std::unique_ptr<ProbedDatabase>>;

}  // namespace souk::test
