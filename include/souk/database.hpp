// The database port, the same for SQLite and PostgreSQL. Two ways in:
//
//   query()     one named, bounded, read-only statement; shares connections with other requests
//               (pipelined on PostgreSQL, a reader connection on SQLite);
//   transact()  a body of statements that commits or rolls back as a whole.
//
// A body is a coroutine that awaits nothing but its own `Transaction`: on SQLite it runs on the
// writer's thread and shares one COMMIT with its neighbours, on PostgreSQL it owns a connection
// while it runs. A body may run more than once (a lost connection before COMMIT was sent, a
// serialization failure), so it must set, not append to, what it captures by reference.
//
// Invariants live in constraints and guarded UPDATEs (`... WHERE stock >= $2`, then look at
// `affected`), never in an isolation level: READ COMMITTED is all that a body may assume.
//
// One SQL text serves both wherever possible: parameters `$1`, `ON CONFLICT`, `RETURNING`; where it
// can't, `Statement::postgres` replaces `sql` on PostgreSQL. Types: 64-bit integers (also times in
// microseconds and booleans 0/1), text, bytes.
#pragma once

#include "souk/async.hpp"
#include "souk/clock.hpp"
#include "souk/embedded.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace souk {

enum class Dialect : std::uint8_t { sqlite, postgres };

/// SQL with a name: the name appears in metrics, logs and as the prepared statement's name. Make
/// them `inline constexpr` in the module's store.
struct Statement {
    std::string_view name;  // "order.insert_line"
    std::string_view sql;
    std::string_view postgres = {};  // replaces `sql` there when not empty
};

using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Params = std::vector<Value>;

namespace detail {
template <class T>
Value to_value(T&& v) {
    using D = std::decay_t<T>;
    if constexpr (std::is_same_v<D, std::nullopt_t>)
        return Value();
    else if constexpr (std::is_same_v<D, Value>)
        return Value(std::forward<T>(v));
    else if constexpr (std::is_same_v<D, Timestamp>)
        return Value(to_micros(v));
    else if constexpr (std::is_integral_v<D>)
        return Value(static_cast<std::int64_t>(v));
    else if constexpr (requires {
                           v.has_value();
                           *v;
                       })
        return v.has_value() ? to_value(*v) : Value();
    else
        return Value(std::string(std::forward<T>(v)));
}
}  // namespace detail

namespace detail {
struct Bind {
    template <class... Ts>
    Params operator()(Ts&&... values) const {
        Params params;
        params.reserve(sizeof...(Ts));
        (params.push_back(to_value(std::forward<Ts>(values))), ...);
        return params;
    }
};
}  // namespace detail

/// Parameters in order: `bind(id, quantity, std::nullopt)`. An object, not a function: with a
/// std::string among its arguments a function would lose to std::bind.
inline constexpr detail::Bind bind{};

/// The rows of one statement, copied out of the driver.
class Rows {
public:
    class Row {
    public:
        Row(const Rows& rows, std::size_t index) : rows_(&rows), index_(index) {}
        bool is_null(std::size_t column) const;
        /// 0 for NULL. Throws `std::logic_error` on text: a fault in the store, not in the data.
        std::int64_t integer(std::size_t column) const;
        bool boolean(std::size_t column) const { return integer(column) != 0; }
        Timestamp time(std::size_t column) const { return from_micros(integer(column)); }
        /// Empty for NULL. Valid as long as the `Rows`.
        std::string_view text(std::size_t column) const;
        std::string string(std::size_t column) const { return std::string(text(column)); }

    private:
        const Rows* rows_;
        std::size_t index_;
    };

    std::size_t size() const { return columns_ == 0 ? 0 : cells_.size() / columns_; }
    bool empty() const { return size() == 0; }
    Row operator[](std::size_t row) const { return Row(*this, row); }
    /// Rows inserted, updated or deleted by the statement.
    std::int64_t affected() const { return affected_; }

    // For drivers: call `start`, then a cell at a time, row after row.
    void start(std::size_t columns) { columns_ = columns; }
    void add_null() { cells_.push_back(Cell{Kind::null, 0, 0}); }
    void add_integer(std::int64_t v) { cells_.push_back(Cell{Kind::integer, v, 0}); }
    void add_text(std::string_view v) {
        cells_.push_back(Cell{Kind::text, static_cast<std::int64_t>(text_.size()), v.size()});
        text_.append(v);
    }
    void set_affected(std::int64_t n) { affected_ = n; }
    /// Those of a statement that ran for another part of one set.
    void append(const Rows& more);

private:
    enum class Kind : std::uint8_t { null, integer, text };
    struct Cell {
        Kind kind;
        std::int64_t value;  // the integer, or the offset into text_
        std::size_t size;
    };
    const Cell& cell(std::size_t row, std::size_t column) const;

    std::size_t columns_ = 0;
    std::int64_t affected_ = 0;
    std::vector<Cell> cells_;
    std::string text_;
};

/// The statements of one body. Errors of both calls, beside `unavailable` and `timeout`:
/// `conflict` "unique_violation", "foreign_key_violation", "check_violation", "not_null_violation"
/// (detail: the constraint or column). After an error only a rollback is possible: return it.
class Transaction {
public:
    virtual ~Transaction() = default;
    virtual Task<Result<Rows>> execute(const Statement& statement, Params params = {}) = 0;
    /// One statement for each set of parameters, sent as one pipeline; stops at the first error.
    virtual Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) = 0;

    /// One statement for a set of rows. `sql` takes the parameters of one row and runs for each of
    /// them; `postgres` runs once, each of its parameters an array, the column of all rows:
    /// `SELECT ... FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])) AS r (id, quantity)`. The
    /// rows and `affected` of all together, in no order.
    virtual Task<Result<Rows>> execute_set(const Statement& statement, std::vector<Params> rows);
    /// A row of such a set whose outcome the body does not look at. It is written before the COMMIT
    /// at the latest, on PostgreSQL with it and together with the others of its statement, so the
    /// body must not rely on seeing it; its error may be that of the COMMIT.
    virtual Task<Result<void>> execute_later(const Statement& statement, Params row);
    /// The last statement of a body. On PostgreSQL the COMMIT travels with it, or, when it is the
    /// first one too, there is no BEGIN and no COMMIT at all: once it has succeeded the body can't
    /// roll back, so it may return an error only when it has written nothing.
    virtual Task<Result<Rows>> execute_last(const Statement& statement, Params params = {}) {
        return execute(statement, std::move(params));
    }
    /// For statements that only one of the two has.
    virtual Dialect dialect() const { return Dialect::sqlite; }

    /// `work` runs once the COMMIT is known to be durable, and never otherwise: to wake whoever
    /// waits for the rows. On the database's own thread: short, and safe to call there. What a run
    /// of the body asked for is forgotten when the body runs again.
    virtual void after_commit(std::function<void()> work) {
        after_commit_.push_back(std::move(work));
    }

protected:
    std::vector<std::function<void()>> after_commit_;  // the driver's to run or to forget
};

/// A PostgreSQL array, to be bound as one parameter of a statement that casts it: `CAST($1 AS
/// TEXT[])`.
std::string array_text(std::span<const Value> values);

/// Returns an error to roll back. GCC 12: name the lambda before the `co_await` that passes it.
using TransactionBody = std::function<Task<Result<void>>(Transaction&)>;

class Database {
public:
    virtual ~Database() = default;
    /// Errors: `unavailable` (no connection, queue full; nothing happened), `timeout`.
    virtual Task<Result<Rows>> query(
        const Statement& statement, Params params, Deadline deadline
    ) = 0;
    /// The same from a replica that may lag some seconds behind, where one is configured and
    /// answers. For callers who cannot have written what they read (browsing customers), so that
    /// everybody else reads their own writes.
    virtual Task<Result<Rows>> query_stale(
        const Statement& statement, Params params, Deadline deadline
    ) {
        return query(statement, std::move(params), deadline);
    }
    /// Success means durably committed. Errors: the body's own; `unavailable` "commit_unknown" when
    /// the connection broke while COMMIT was under way (it may have happened); `timeout` before
    /// COMMIT was sent (nothing happened).
    virtual Task<Result<void>> transact(TransactionBody body, Deadline deadline) = 0;
    virtual Dialect dialect() const = 0;
    /// Why it cannot serve at the moment, in words for an operator; empty when it can. Any thread.
    virtual std::string fault() const { return {}; }
};

/// A forward-only step of a schema, embedded in the binary.
struct Migration {
    std::string_view name;  // "0001_orders"
    std::string_view sql;   // several statements; `-- only: sqlite` / `-- only: postgres` on a line
                            // of its own starts a part for one dialect, `-- both` ends it
};

/// The embedded files below "migrations/", in name order.
std::vector<Migration> migrations_from(std::span<const embedded::File> files);

}  // namespace souk
