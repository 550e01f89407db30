// The database of a module under test, for one or several replicas of it: SQLite, or PostgreSQL
// where SOUK_TEST_DATABASE says so.
#pragma once

#include "souk/module.hpp"
#include "support/database_fixture.hpp"

#include <deque>

namespace souk::test {

/// For a driver under a test that owns time: its own waits are real, and no deadline that the
/// test's clock gave ever passes by a jump of that clock while the server is at work.
class StandingClock final : public Clock {
public:
    Timestamp now() const override { return base::system_clock().now(); }
    SteadyTime steady() const override { return SteadyTime(); }
    Task<bool> sleep(microseconds duration) override {
        return base::system_clock().sleep(duration);
    }
};

class ModuleStore {
public:
    ModuleStore(const ModuleInfo& info, Clock& clock, std::size_t replicas) {
        if (!DatabaseFixture::on_postgres()) {
            sqlite_.emplace(info.migrations, clock);
            return;
        }
        for (std::size_t i = 0; i < replicas; ++i) {
            database::PostgresOptions options;
            options.transactions = 4;
            if (i > 0) options.url = postgres_.front().url();
            postgres_.emplace_back(info.migrations, driver_clock_, std::move(options));
        }
    }

    /// On SQLite, which has one writer a file, replicas share it.
    Database& of(std::size_t replica) {
        return sqlite_ ? sqlite_->database() : postgres_[replica].database();
    }
    void close() {
        if (sqlite_) sqlite_->close();
        for (auto& one : postgres_)
            one.close();
    }
    void reopen() {
        if (sqlite_) sqlite_->reopen();
        for (auto& one : postgres_)
            one.reopen();
    }

private:
    StandingClock driver_clock_;
    std::optional<SqliteFixture> sqlite_;
    std::deque<PostgresFixture> postgres_;
};

}  // namespace souk::test
