// A read of a whole table: on PostgreSQL it gets a connection of its own and the time that its
// deadline leaves, since on the one that all of query() shares everybody would wait behind it. On
// SQLite a reader thread takes it, as any other.
#pragma once

#include "souk/database.hpp"

namespace souk {

/// Errors: those of Database::query().
inline Task<Result<Rows>> long_query(
    Database& database, Statement statement, Params params, Deadline deadline
) {
    if (database.dialect() == Dialect::sqlite)
        co_return co_await database.query(statement, std::move(params), deadline);
    Rows answer;
    TransactionBody body = [&](Transaction& tx) -> Task<Result<void>> {
        auto rows = co_await tx.execute(statement, params);
        if (!rows) co_return rows.error();
        answer = std::move(*rows);
        co_return Result<void>();
    };
    auto done = co_await database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return std::move(answer);
}

}  // namespace souk
