// The SQL of stock: units, reservations and holds. Nothing here reads before it writes: a guarded
// UPDATE decides, and writers touch products in ascending order of id.
#pragma once

#include "domain/product.hpp"
#include "souk/database.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace souk::product::store {

enum class ReservationStatus : std::uint8_t { none, held, committed, released };

Task<Result<void>> insert_stock(Transaction& tx, std::string product_id, std::int64_t units);
/// Adds `delta` to what was received. Nothing when there is no such product. Errors: `conflict`
/// "insufficient_stock" when fewer than -delta units are available.
Task<Result<std::optional<domain::Stock>>> change_stock(
    Transaction& tx, std::string product_id, std::int64_t delta
);

struct ReceivedTotal {
    ReceivedTotal(std::string product_id, std::int64_t units)
        : product_id(std::move(product_id)), units(units) {}
    std::string product_id;
    std::int64_t units;
};
/// Sets the total ever received, locking in ascending order of id; true for those that changed, in
/// the order of `totals`. Errors: `conflict`
/// "insufficient_stock" when more is already held or sold.
Task<Result<std::vector<bool>>> set_received(Transaction& tx, std::vector<ReceivedTotal> totals);

/// Refuses whatever reservation may come; false when the order has one already.
Task<Result<bool>> insert_tombstone(Transaction& tx, std::string order_id, Timestamp now);
Task<Result<ReservationStatus>> find_reservation(Transaction& tx, std::string order_id);
/// Moves the order's reservation and its holds out of `held`; false when it is not `held`. Units go
/// back to available (`released`) or become sold (`committed`), on PostgreSQL when `tx` commits
/// (see migrations/0004_settling.sql).
Task<Result<bool>> settle_reservation(
    Transaction& tx, std::string order_id, ReservationStatus to, Timestamp now
);

/// The same for many; those that were `held`.
Task<Result<std::set<std::string>>> settle_reservations(
    Transaction& tx, std::vector<std::string> order_ids, ReservationStatus to, Timestamp now
);

/// What became of an order's wish for stock.
struct Reservation {
    Reservation() = default;
    bool opened = false;                 // else nothing may be written: roll back
    std::vector<ReservedProduct> holds;  // at today's price, in ascending order of product
    std::vector<std::string> unknown;    // products that do not exist, or have no price
    std::vector<std::string> missing;    // products that have too few units
};
/// Opens the order's reservation, records its holds and takes the units: all of it, or, when a
/// product is unknown or missing, or the order has a reservation already, nothing. The last of its
/// body.
Task<Result<Reservation>> reserve(
    Transaction& tx, std::string order_id, const domain::Quantities& quantities, Timestamp now
);

/// An order's wish for stock.
struct Wish {
    Wish(std::string order_id, domain::Quantities quantities, Deadline deadline)
        : order_id(std::move(order_id)), quantities(std::move(quantities)), deadline(deadline) {}
    std::string order_id;
    domain::Quantities quantities;
    Deadline deadline;
};
/// The same for many orders, each its own, where nothing is in their way: nothing for those whose
/// products are unknown or too few for all, and for those with a reservation already. They are left
/// to reserve(). PostgreSQL only; the last of its body.
Task<Result<std::vector<std::optional<Reservation>>>> reserve_many(
    Transaction& tx, const std::vector<Wish>& wishes, Timestamp now
);

/// What an order holds or held.
struct Holds {
    Holds() = default;
    ReservationStatus status = ReservationStatus::none;
    std::vector<ReservedProduct> products;  // in ascending order
};
Task<Result<Holds>> find_holds(Database& database, std::string order_id, Deadline deadline);

/// The answer that is stored under a key of a caller.
struct StoredAnswer {
    StoredAnswer() = default;
    std::string request_hash;
    std::string answer;
};
/// Nothing when the key was free and is now taken by this transaction.
Task<Result<std::optional<StoredAnswer>>> claim_key(
    Transaction& tx, std::string caller, std::string key, std::string request_hash, Timestamp now
);
Task<Result<void>> store_answer(
    Transaction& tx, std::string caller, std::string key, std::string answer
);

/// Deletes at most `limit` answers from before `before`, the oldest first; how many it deleted.
Task<Result<std::int64_t>> prune_requests(Transaction& tx, Timestamp before, std::size_t limit);

/// How many orders hold stock since before `before`.
Task<Result<std::int64_t>> count_old_holds(Database& database, Timestamp before, Deadline deadline);

}  // namespace souk::product::store
