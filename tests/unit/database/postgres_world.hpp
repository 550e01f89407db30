// What the tests of the PostgreSQL driver share: a superuser's own connection, many calls at once.
#pragma once

#include "base/virtual_clock.hpp"
#include "support/database_fixture.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include <chrono>
#include <deque>
#include <functional>
#include <stdexcept>
#include <thread>

namespace souk::test {

/// A connection of the tester's, which waits for each answer.
class Tester {
public:
    explicit Tester(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
        if (PQstatus(connection_) != CONNECTION_OK)
            throw std::runtime_error(PQerrorMessage(connection_));
        run("SET client_min_messages = warning");
    }
    ~Tester() { PQfinish(connection_); }
    Tester(const Tester&) = delete;
    Tester& operator=(const Tester&) = delete;

    /// The first cell of the last statement's answer; empty when there is none.
    std::string run(const std::string& sql) {
        PGresult* result = PQexec(connection_, sql.c_str());
        const auto status = PQresultStatus(result);
        const bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
        std::string text = good ? "" : PQresultErrorMessage(result);
        if (good && PQntuples(result) > 0) text = PQgetvalue(result, 0, 0);
        PQclear(result);
        if (!good) throw std::runtime_error(text);
        return text;
    }

private:
    PGconn* connection_;
};

/// `url` with one more parameter.
inline std::string with(const std::string& url, const std::string& parameter) {
    return url + (url.find('?') == std::string::npos ? "?" : "&") + parameter;
}

/// Polls, gives up after half a minute.
inline bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < end) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

/// Calls at once, on a context of the tester's.
template <class T>
class Wave {
public:
    void add(Task<Result<T>> task) {
        const std::size_t index = results.size();
        results.emplace_back();
        ended_.push_back(false);
        asio::co_spawn(
            context_,
            std::move(task),
            [this, index](std::exception_ptr failure, Result<T> result) {
                if (failure) std::rethrow_exception(failure);
                results[index] = std::move(result);
                ended_[index] = true;
            }
        );
    }
    bool ended(std::size_t index) {
        context_.restart();
        context_.poll();
        return ended_[index];
    }
    /// Until all have ended.
    void run() {
        context_.restart();
        context_.run();
    }

    std::deque<Result<T>> results;

private:
    std::deque<bool> ended_;
    asio::io_context context_;
};

inline Result<Rows> read(Database& database, const Statement& statement, Params params = {}) {
    return run_task(database.query(statement, std::move(params), Deadline::never()));
}

inline Task<Result<void>> work_once(
    Transaction& tx, Statement statement, Params params, Rows* answer
) {
    auto rows = co_await tx.execute(statement, std::move(params));
    if (!rows) co_return rows.error();
    if (answer != nullptr) *answer = std::move(*rows);
    co_return Result<void>();
}

/// A transaction of one statement.
inline Task<Result<void>> write_task(
    Database& database, Statement statement, Params params, Deadline deadline, Rows* answer
) {
    TransactionBody body = [&](Transaction& tx) {
        return work_once(tx, statement, params, answer);
    };
    co_return co_await database.transact(std::move(body), deadline);
}
inline Result<void> write(
    Database& database, const Statement& statement, Params params = {}, Rows* answer = nullptr
) {
    return run_task(write_task(database, statement, std::move(params), Deadline::never(), answer));
}

inline database::PostgresOptions options_with(std::size_t transactions) {
    database::PostgresOptions options;
    options.transactions = transactions;
    return options;
}

}  // namespace souk::test
