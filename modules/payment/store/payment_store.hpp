// All of payment's SQL. Each function is one statement; the guarded ones say whether, or for which,
// they took effect. A transaction locks the fences of its orders first, then attempts, then
// payments. Errors of all: the database's.
#pragma once

#include "domain/ledger.hpp"
#include "domain/payment.hpp"
#include "souk/database.hpp"
#include "souk/money.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace souk::payment::store {

using domain::Attempt;
using domain::Payment;

/// Makes sure that the order has a fence row, locks it, and says whether the fence is raised.
Task<Result<bool>> lock_fence(Transaction& tx, std::string order_id);
Task<Result<void>> raise_fence(Transaction& tx, std::string order_id);
using Ids = std::set<std::string>;
/// Those whose fence is raised; keeps all as they are until the transaction ends.
Task<Result<Ids>> hold_fences(Transaction& tx, Ids order_ids);
/// PostgreSQL only, written with the commit: what lock_fence(), insert_payment() and
/// insert_attempt() do for an order that is not free.
Task<Result<void>> accept(Transaction& tx, Payment payment, Attempt attempt);

/// False when the order has a payment already.
Task<Result<bool>> insert_payment(Transaction& tx, Payment payment);
Task<Result<std::optional<Payment>>> find_by_order(Transaction& tx, std::string order_id);
/// pending → voided or declined; false when the payment is not pending.
Task<Result<bool>> void_payment(Transaction& tx, std::string id, Timestamp now);
Task<Result<bool>> decline_payment(
    Transaction& tx, std::string id, std::string reason, Timestamp now
);
/// pending → captured: those that were pending.
Task<Result<Ids>> capture_payments(Transaction& tx, Ids ids, Timestamp now);
/// pending → refunding; false when the payment is not pending.
Task<Result<bool>> give_back_payment(Transaction& tx, std::string id, Timestamp now);
/// refunding → refunded; the version afterwards; nothing when it was not refunding.
Task<Result<std::optional<std::int64_t>>> refund_payment(
    Transaction& tx, std::string id, Timestamp now
);

Task<Result<void>> insert_attempt(Transaction& tx, Attempt attempt, Timestamp now);
/// The body's only statement: leases up to `limit` attempts that are due at `now` until `until`.
Task<Result<std::vector<Attempt>>> claim_attempts(
    Transaction& tx, Timestamp now, Timestamp until, std::size_t limit
);
struct Settled {
    Settled(std::string attempt_id, std::string_view status)
        : attempt_id(std::move(attempt_id)), status(status) {}
    std::string attempt_id;
    std::string_view status;
};
/// sent → `status`: those that nobody else has settled.
Task<Result<Ids>> settle_attempts(Transaction& tx, std::vector<Settled> settled);
/// queued → voided; false when it was sent.
Task<Result<bool>> void_attempt(Transaction& tx, std::string payment_id);
/// The body's only statement: ends the lease at `at`, if it is still that of this try.
Task<Result<void>> reschedule_attempt(
    Transaction& tx, std::string id, std::int64_t tries, Timestamp at
);

/// Writes and closes one set, with the commit at the latest. Errors also: `conflict` when it does
/// not sum to zero or the attempt was booked before.
Task<Result<void>> post_to_ledger(
    Transaction& tx,
    std::string set_id,
    std::string attempt_id,
    std::string order_id,
    std::string currency,
    domain::PostingSet postings,
    Timestamp now
);

struct CurrencySum {
    CurrencySum(std::string currency, std::int64_t sum, std::int64_t entries)
        : currency(std::move(currency)), sum(sum), entries(entries) {}
    std::string currency;
    std::int64_t sum;
    std::int64_t entries;
};

Task<Result<std::optional<Payment>>> get_payment(
    Database& database, std::string id, Deadline deadline
);
Task<Result<std::optional<Payment>>> get_payment_of_order(
    Database& database, std::string order_id, Deadline deadline
);
/// In order of order_id.
Task<Result<std::vector<Payment>>> list_payments(
    Database& database, std::string after_order_id, std::size_t limit, Deadline deadline
);
Task<Result<std::vector<CurrencySum>>> sum_ledger(Database& database, Deadline deadline);

}  // namespace souk::payment::store
