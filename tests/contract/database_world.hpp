// What the contract tests of the database port share: a small schema, and many tasks at once.
#pragma once

#include "souk/database.hpp"
#include "support/run_task.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <vector>

namespace souk::test {

inline const Migration schema{
    "0001_contract",
    "CREATE TABLE parents (id TEXT PRIMARY KEY NOT NULL);"
    "CREATE TABLE things (id BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE,"
    "  stock BIGINT NOT NULL DEFAULT 0 CONSTRAINT stock_not_negative CHECK (stock >= 0),"
    "  parent TEXT REFERENCES parents (id), note TEXT);"};

inline constexpr Statement insert{
    "contract.insert", "INSERT INTO things (id, name, stock) VALUES ($1, $2, $3)"};
inline constexpr Statement select_all{"contract.all", "SELECT id FROM things ORDER BY id"};

inline Result<Rows> ask(Database& database, const Statement& statement, Params params = {}) {
    return run_task(database.query(statement, std::move(params), Deadline::never()));
}

/// Runs many tasks at once on one context.
class Crowd {
public:
    explicit Crowd(asio::io_context& context) : context_(context) {}
    void add(Task<Result<void>> task) {
        std::size_t index = results.size();
        results.emplace_back();
        failures.emplace_back();
        auto ended = [this, index](std::exception_ptr failure, Result<void> result) {
            failures[index] = failure;
            results[index] = std::move(result);
        };
        asio::co_spawn(context_, std::move(task), std::move(ended));
    }
    void run() { context_.run(); }

    std::vector<Result<void>> results;
    std::vector<std::exception_ptr> failures;

private:
    asio::io_context& context_;
};

inline Task<Result<void>> insert_thing(Transaction& tx, std::int64_t id, std::string name) {
    Params params = bind(id, std::move(name), 0);
    auto rows = co_await tx.execute(insert, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

}  // namespace souk::test
