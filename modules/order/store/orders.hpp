// The SQL of orders and their lines.
#pragma once

#include "souk/database.hpp"
#include "souk/order/api.hpp"

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souk::order::store {

/// Where an imported order comes from, and who is answerable for the import.
struct ImportRef {
    ImportRef() = default;
    std::string source;
    std::string external_ref;
    std::string imported_by;
    std::string content_hash;  // of what the import said, however it was written
};

/// What an order has beside what `Order` shows.
struct OrderDetails {
    OrderDetails() = default;
    std::string payment_token;
    std::int64_t units = 0;
    Timestamp created_at{};
    std::optional<ImportRef> import;
};

/// The lease that an order is placed under, and the answer that its intent keeps.
struct Closing {
    Closing(std::string order_id, std::int64_t fence, int status, std::string answer)
        : order_id(std::move(order_id)), fence(fence), status(status), answer(std::move(answer)) {}
    std::string order_id;
    std::int64_t fence;
    int status;
    std::string answer;
};
enum class Placed : std::uint8_t {
    done,
    lease_lost,  // roll back: nothing was written, or must not be
    taken,       // roll back: its number or its (source, external_ref) is another order's
};
/// Closes the intent and writes the order with its lines. The last of its body.
Task<Result<Placed>> place(
    Transaction& tx, Closing closing, const Order& order, const OrderDetails& details
);

/// An order about to be placed.
struct Placing {
    Placing(Closing closing, Order order, OrderDetails details)
        : closing(std::move(closing)), order(std::move(order)), details(std::move(details)) {}
    Closing closing;
    Order order;
    OrderDetails details;
};
/// The same for many: all of them or, with an error, none; which one was in the way place() says.
/// PostgreSQL only; the last of its body.
Task<Result<void>> place_many(
    Transaction& tx, const std::vector<std::shared_ptr<const Placing>>& placings
);

struct Imported {
    Imported() = default;
    std::string order_id;
    std::string content_hash;
};
Task<Result<std::optional<Imported>>> find_imported(
    Database& database, std::string source, std::string external_ref, Deadline deadline
);

/// What is announced about an order that changed.
struct Changed {
    Changed(Money total) : total(total) {}
    std::string number;
    std::string user_id;
    Money total;
    std::int64_t version = 0;
};
/// What to do about an order that another transaction is just changing.
enum class WhenLocked : std::uint8_t { wait, skip };
/// pending → paid: those that were pending, by id.
Task<Result<std::map<std::string, Changed>>> mark_paid(
    Transaction& tx, std::vector<std::string> ids, Timestamp now
);
/// pending → cancelled with `reason`; nothing when it was not pending.
Task<Result<std::optional<Changed>>> mark_cancelled(
    Transaction& tx, std::string id, std::string_view reason, Timestamp now, WhenLocked when_locked
);
/// Empty when there is no such order.
Task<Result<std::string>> find_status(Transaction& tx, std::string id);

Task<Result<std::vector<Order>>> find_orders(
    Database& database, std::vector<std::string> ids, Deadline deadline
);

/// A place in a user's list, newest first.
struct Position {
    Position() = default;
    Position(std::int64_t placed_at, std::string id) : placed_at(placed_at), id(std::move(id)) {}
    std::int64_t placed_at = std::numeric_limits<std::int64_t>::max();
    std::string id;
};
Task<Result<std::vector<Order>>> list_orders(
    Database& database, std::string user_id, Position after, std::size_t limit, Deadline deadline
);
/// All orders by id, for the audit.
Task<Result<std::vector<Order>>> audit_orders(
    Database& database, std::string after_id, std::size_t limit, Deadline deadline
);

/// A place among the orders that wait for their payment, oldest first.
struct PendingOrder {
    PendingOrder() = default;
    std::string id;
    Timestamp created_at{};
};
/// Orders after `after` that are pending since before `before`.
Task<Result<std::vector<PendingOrder>>> find_overdue(
    Database& database, PendingOrder after, Timestamp before, std::size_t limit, Deadline deadline
);

/// What one source's imported orders came to; units, value and lines of the paid ones.
struct ImportSummary {
    ImportSummary() = default;
    std::int64_t placed = 0;
    std::int64_t pending = 0;
    std::int64_t paid = 0;
    std::int64_t cancelled = 0;
    std::int64_t units = 0;
    std::int64_t value = 0;
    std::int64_t lines = 0;
};
Task<Result<ImportSummary>> summarize_import(
    Database& database, std::string source, Deadline deadline
);

}  // namespace souk::order::store
