#include "app/settle.hpp"

#include "app/announce.hpp"
#include "souk/id.hpp"
#include "store/payment_store.hpp"

namespace souk::payment::app {

namespace {

Task<Result<void>> book(
    Transaction& tx, domain::Attempt attempt, domain::PostingSet postings, Timestamp now
) {
    if (!domain::sums_to_zero(postings))
        co_return Error(ErrorKind::internal, "ledger_unbalanced", "a set must sum to zero");
    std::string currency(attempt.total.currency.code());
    co_return co_await store::post_to_ledger(
        tx, make_id("led", now), attempt.id, attempt.order_id, std::move(currency), postings, now
    );
}

Task<Result<void>> decline(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, std::string reason
) {
    auto declined = co_await store::decline_payment(tx, attempt.payment_id, reason, clock.now());
    if (!declined) co_return declined.error();
    if (!*declined) co_return Result<void>();
    co_return co_await announce_declined(
        tx, clock, attempt.order_id, attempt.payment_id, reason, 1
    );
}

/// A capture behind a raised fence is not announced: it is given back, and that is announced.
Task<Result<void>> capture(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, bool fenced
) {
    const auto now = clock.now();
    auto postings = domain::capture_postings(attempt.total.amount);
    auto booked = co_await book(tx, attempt, postings, now);
    if (!booked) co_return booked.error();
    if (!fenced) {
        auto captured = co_await store::capture_payment(tx, attempt.payment_id, now);
        if (!captured) co_return captured.error();
        if (*captured)
            co_return co_await announce_captured(
                tx, clock, attempt.order_id, attempt.payment_id, attempt.total, 1
            );
    }
    auto kept = co_await store::give_back_payment(tx, attempt.payment_id, now);
    if (!kept) co_return kept.error();
    domain::Attempt refund(
        make_id("att", now),
        attempt.payment_id,
        attempt.order_id,
        "refund",
        attempt.id,
        std::string(),
        attempt.total
    );
    co_return co_await store::insert_attempt(tx, std::move(refund), now);
}

}  // namespace

Task<Result<void>> settle_charge(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
) {
    auto fenced = co_await store::hold_fence(tx, attempt.order_id);
    if (!fenced) co_return fenced.error();
    std::string status(answer.done ? "captured" : "declined");
    auto settled = co_await store::settle_attempt(tx, attempt.id, std::move(status));
    if (!settled) co_return settled.error();
    if (!*settled) co_return Result<void>();
    if (answer.done) co_return co_await capture(tx, clock, std::move(attempt), *fenced);
    co_return co_await decline(tx, clock, std::move(attempt), answer.reason);
}

Task<Result<void>> settle_refund(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
) {
    if (!answer.done) co_return Error(ErrorKind::internal, "refund_refused", answer.reason);
    auto settled = co_await store::settle_attempt(tx, attempt.id, "refunded");
    if (!settled) co_return settled.error();
    if (!*settled) co_return Result<void>();
    const auto now = clock.now();
    auto postings = domain::refund_postings(attempt.total.amount);
    auto booked = co_await book(tx, attempt, postings, now);
    if (!booked) co_return booked.error();
    auto version = co_await store::refund_payment(tx, attempt.payment_id, now);
    if (!version) co_return version.error();
    if (!version->has_value()) co_return Result<void>();
    co_return co_await announce_refunded(
        tx, clock, attempt.order_id, attempt.payment_id, attempt.total, **version
    );
}

}  // namespace souk::payment::app
