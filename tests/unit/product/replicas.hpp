// A module's replicas: several databases over one schema, as several processes have them, whose
// transactions truly run side by side. On SQLite, where one process writes, all are one database.
#pragma once

#include "base/system_clock.hpp"
#include "support/database_fixture.hpp"
#include "unit/product/module_world.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>

namespace souk::test {

/// Counts how often bodies ran again: what two transactions did to each other in the wrong order.
class CountedDatabase final : public Database {
public:
    explicit CountedDatabase(Database& inner) : inner_(inner) {}
    Task<Result<Rows>> query(const Statement& s, Params params, Deadline deadline) override {
        return inner_.query(s, std::move(params), deadline);
    }
    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        ++calls_;
        TransactionBody counted = [this, body = std::move(body)](Transaction& tx) {
            ++runs_;
            return body(tx);
        };
        return inner_.transact(std::move(counted), deadline);
    }
    Dialect dialect() const override { return inner_.dialect(); }
    int reruns() const { return runs_ - calls_; }

private:
    Database& inner_;
    std::atomic<int> calls_ = 0;
    std::atomic<int> runs_ = 0;
};

class Replicas : public Shop {
public:
    static constexpr std::size_t count = 4;

    explicit Replicas(const std::vector<Migration>& migrations) {
        if (!DatabaseFixture::on_postgres()) {
            sqlite_.emplace(migrations);
            databases_.push_back(std::make_unique<CountedDatabase>(sqlite_->database()));
            return;
        }
        database::PostgresOptions options;
        options.transactions = 4;
        options.url = Services::shared().fresh_schema();
        for (std::size_t i = 0; i < count; ++i) {
            postgres_.push_back(
                std::make_unique<PostgresFixture>(migrations, base::system_clock(), options)
            );
            databases_.push_back(std::make_unique<CountedDatabase>(postgres_.back()->database()));
        }
    }

    /// That of the replica `i`, of as many as you like.
    Database& operator[](std::size_t i) { return *databases_[i % databases_.size()]; }
    bool on_postgres() const { return !postgres_.empty(); }
    int reruns() const {
        int sum = 0;
        for (const auto& database : databases_)
            sum += database->reruns();
        return sum;
    }

    Rows sql(std::string_view text, Params params = {}) {
        return execute(text, std::move(params)).value();
    }
    std::int64_t number(std::string_view text) { return sql(text)[0].integer(0); }

    /// Text columns in indexes of this schema that a locale orders; none on SQLite.
    std::int64_t columns_in_locale_order() {
        if (!on_postgres()) return 0;
        return number(
            "SELECT COUNT(*) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid "
            "CROSS JOIN LATERAL unnest(i.indcollation) AS used(collation_id) "
            "WHERE t.relnamespace = current_schema()::regnamespace "
            "AND t.relname NOT LIKE 'bus\\_%' AND t.relname NOT IN ('inbox', 'outbox', "
            "'souk_migrations') AND used.collation_id NOT IN (0, '\"C\"'::regcollation)"
        );
    }

private:
    Result<Rows> execute(std::string_view text, Params params) {
        const Statement statement = kept_statement(text);
        Result<Rows> rows = Rows();
        TransactionBody body = [&](Transaction& tx) -> Task<Result<void>> {
            return ModuleWorld::execute(tx, statement, params, rows);
        };
        auto done = run(databases_.front()->transact(std::move(body), Deadline::never()));
        if (!done) return done.error();
        return rows;
    }

    std::optional<SqliteFixture> sqlite_;
    std::vector<std::unique_ptr<PostgresFixture>> postgres_;
    std::vector<std::unique_ptr<CountedDatabase>> databases_;
};

}  // namespace souk::test
