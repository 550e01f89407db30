#include "app/void_order.hpp"

#include "store/payment_store.hpp"

namespace souk::payment::app {

namespace {

Task<Result<VoidOutcome>> void_pending(Transaction& tx, std::string payment_id, Timestamp now) {
    auto unsent = co_await store::void_attempt(tx, payment_id);
    if (!unsent) co_return unsent.error();
    if (!*unsent)  // with the provider, or settled this instant: the next call knows
        co_return VoidOutcome::unknown;
    auto voided = co_await store::void_payment(tx, payment_id, now);
    if (!voided) co_return voided.error();
    co_return VoidOutcome::fenced;
}

/// The fence goes up first: from here on no capture is announced any more, and order.placed, should
/// it come later, makes no attempt.
Task<Result<VoidOutcome>> void_in(Transaction& tx, std::string order_id, Timestamp now) {
    auto raised = co_await store::raise_fence(tx, order_id);
    if (!raised) co_return raised.error();
    auto payment = co_await store::find_by_order(tx, order_id);
    if (!payment) co_return payment.error();
    if (!payment->has_value()) co_return VoidOutcome::fenced;
    const std::string status = (*payment)->status;
    if (status == "captured") co_return VoidOutcome::captured;
    if (status == "refunding") co_return VoidOutcome::unknown;
    if (status == "pending") co_return co_await void_pending(tx, (*payment)->id, now);
    co_return VoidOutcome::fenced;  // declined, voided, refunded
}

Task<Result<void>> void_into(
    Transaction& tx, std::string order_id, Timestamp now, VoidOutcome& outcome
) {
    auto result = co_await void_in(tx, std::move(order_id), now);
    if (!result) co_return result.error();
    outcome = *result;
    co_return Result<void>();
}

}  // namespace

Task<Result<VoidOutcome>> LocalApi::void_order(CallContext ctx, std::string order_id) {
    auto outcome = VoidOutcome::unknown;
    const auto now = clock_.now();
    TransactionBody body = [&](Transaction& tx) { return void_into(tx, order_id, now, outcome); };
    auto committed = co_await database_.transact(body, ctx.deadline);
    if (!committed) co_return committed.error();
    co_return outcome;
}

}  // namespace souk::payment::app
