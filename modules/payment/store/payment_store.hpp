// All of payment's SQL. Each function is one statement; the guarded ones say whether they took
// effect. A transaction locks an order's fence first, then its attempt, then its payment. Errors of
// all: the database's.
#pragma once

#include "domain/ledger.hpp"
#include "domain/payment.hpp"
#include "souk/database.hpp"
#include "souk/money.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::payment::store {

using domain::Attempt;
using domain::Payment;

/// Makes sure that the order has a fence row, locks it, and says whether the fence is raised.
Task<Result<bool>> lock_fence(Transaction& tx, std::string order_id);
Task<Result<void>> raise_fence(Transaction& tx, std::string order_id);
/// Whether the fence is raised; keeps it as it is until the transaction ends.
Task<Result<bool>> hold_fence(Transaction& tx, std::string order_id);

/// False when the order has a payment already.
Task<Result<bool>> insert_payment(Transaction& tx, Payment payment);
Task<Result<std::optional<Payment>>> find_by_order(Transaction& tx, std::string order_id);
/// pending → voided or declined; false when the payment is not pending.
Task<Result<bool>> void_payment(Transaction& tx, std::string id, Timestamp now);
Task<Result<bool>> decline_payment(
    Transaction& tx, std::string id, std::string reason, Timestamp now
);
/// pending → captured, or pending → refunding; false when the payment is not pending.
Task<Result<bool>> capture_payment(Transaction& tx, std::string id, Timestamp now);
Task<Result<bool>> give_back_payment(Transaction& tx, std::string id, Timestamp now);
/// refunding → refunded; the version afterwards; nothing when it was not refunding.
Task<Result<std::optional<std::int64_t>>> refund_payment(
    Transaction& tx, std::string id, Timestamp now
);

Task<Result<void>> insert_attempt(Transaction& tx, Attempt attempt, Timestamp now);
/// Leases up to `limit` attempts that are due at `now` until `until`.
Task<Result<std::vector<Attempt>>> claim_attempts(
    Transaction& tx, Timestamp now, Timestamp until, std::size_t limit
);
/// sent → `status`; false when somebody else has settled it.
Task<Result<bool>> settle_attempt(Transaction& tx, std::string id, std::string status);
/// queued → voided; false when it was sent.
Task<Result<bool>> void_attempt(Transaction& tx, std::string payment_id);
/// Ends the lease at `at`, if it is still that of this try.
Task<Result<void>> reschedule_attempt(
    Transaction& tx, std::string id, std::int64_t tries, Timestamp at
);

/// Writes and closes one set. Errors also: `conflict` when it does not sum to zero or the attempt
/// was booked before.
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
