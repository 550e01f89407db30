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

/// What was captured behind a raised fence is not announced: it is given back, and that is
/// announced.
Task<Result<void>> give_back(Transaction& tx, domain::Attempt attempt, Timestamp now) {
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

Task<Result<void>> settle_charges(
    Transaction& tx, const Clock& clock, const std::vector<Answered>& charges
) {
    store::Ids orders;
    std::vector<store::Settled> answers;
    for (const auto& [attempt, answer] : charges) {
        orders.insert(attempt.order_id);
        answers.emplace_back(attempt.id, answer.done ? "captured" : "declined");
    }
    auto fenced = co_await store::hold_fences(tx, std::move(orders));
    if (!fenced) co_return fenced.error();
    auto settled = co_await store::settle_attempts(tx, std::move(answers));
    if (!settled) co_return settled.error();
    const auto now = clock.now();
    store::Ids captured_payments;
    for (const auto& [attempt, answer] : charges)
        if (answer.done && settled->contains(attempt.id) && !fenced->contains(attempt.order_id))
            captured_payments.insert(attempt.payment_id);
    auto captured = co_await store::capture_payments(tx, std::move(captured_payments), now);
    if (!captured) co_return captured.error();

    for (const auto& [attempt, answer] : charges) {
        if (!settled->contains(attempt.id)) continue;
        Result<void> done;
        if (!answer.done) {
            done = co_await decline(tx, clock, attempt, answer.reason);
            if (!done) co_return done;
            continue;
        }
        auto postings = domain::capture_postings(attempt.total.amount);
        done = co_await book(tx, attempt, std::move(postings), now);
        if (!done) co_return done;
        if (captured->contains(attempt.payment_id))
            done = co_await announce_captured(
                tx, clock, attempt.order_id, attempt.payment_id, attempt.total, 1
            );
        else
            done = co_await give_back(tx, attempt, now);
        if (!done) co_return done;
    }
    co_return Result<void>();
}

Task<Result<void>> settle_refund(
    Transaction& tx, const Clock& clock, domain::Attempt attempt, Answer answer
) {
    if (!answer.done) co_return Error(ErrorKind::internal, "refund_refused", answer.reason);
    std::vector<store::Settled> answers;
    answers.emplace_back(attempt.id, "refunded");
    auto settled = co_await store::settle_attempts(tx, std::move(answers));
    if (!settled) co_return settled.error();
    if (settled->empty()) co_return Result<void>();
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
