#include "app/cancel_order.hpp"

#include "app/announce.hpp"
#include "souk/id.hpp"
#include "store/cancellations.hpp"
#include "store/orders.hpp"

namespace souk::order::app {

namespace {

constexpr std::string_view by_customer = "by_customer";

Error already_paid() {
    return conflict("already_paid", "the order is paid; ask for a refund instead");
}

Error ask_again() {
    return conflict("payment_in_progress", "the payment is under way; ask again")
        .with_retry_after(2);
}

Result<void> check_cancellable(const Order& order) {
    if (order.status == "paid") return already_paid();
    if (order.status == "cancelled")
        return conflict("already_cancelled", "the order is cancelled already");
    return Result<void>();
}

Task<Result<Order>> find_own(Services& services, const CallContext& ctx, std::string id) {
    std::vector<std::string> ids(1, std::move(id));
    auto orders = co_await store::find_orders(services.database, std::move(ids), ctx.deadline);
    if (!orders) co_return orders.error();
    if (orders->empty() || orders->front().user_id != ctx.identity.subject)
        co_return not_found("no such order");
    co_return std::move(orders->front());
}

Task<Result<void>> cancel_in(
    Services& services,
    Transaction& tx,
    std::string order_id,
    store::CancelRequest request,
    std::string traceparent
) {
    auto inserted = co_await store::insert_cancel_request(tx, request, services.clock.now());
    if (!inserted) co_return inserted.error();
    if (!*inserted) co_return ask_again();  // the same key at the same time
    auto cancelled =
        co_await cancel(services, tx, order_id, by_customer, traceparent, store::WhenLocked::wait);
    if (!cancelled) co_return cancelled.error();
    if (!*cancelled) co_return ask_again();  // it ended at this very moment
    co_return Result<void>();
}

}  // namespace

Task<Result<CancelAnswer>> cancel_order(
    Services& services, CallContext ctx, CancelCommand command, RenderOrder render
) {
    store::CancelRequest request;
    request.caller = command.caller;
    request.key = command.key;
    request.request_hash = sha256_hex(command.order_id + '\n' + command.body);
    auto earlier = co_await store::find_cancel_request(
        services.database, command.caller, command.key, ctx.deadline
    );
    if (!earlier) co_return earlier.error();
    if (earlier->has_value()) {
        if ((*earlier)->request_hash == request.request_hash)
            co_return CancelAnswer((*earlier)->answer, true);
        co_return Error(
            ErrorKind::unprocessable,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request"
        );
    }

    auto order = co_await find_own(services, ctx, command.order_id);
    if (!order) co_return order.error();
    auto cancellable = check_cancellable(*order);
    if (!cancellable) co_return cancellable.error();

    auto outcome = co_await services.payment->void_order(ctx, order->id);
    if (!outcome) co_return outcome.error();
    if (*outcome == payment::VoidOutcome::captured) co_return already_paid();
    if (*outcome == payment::VoidOutcome::unknown) co_return ask_again();

    order->status = "cancelled";
    order->cancel_reason = by_customer;
    ++order->version;
    request.answer = render(*order);
    TransactionBody body = [&services, &ctx, &order, &request](Transaction& tx) {
        return cancel_in(services, tx, order->id, request, ctx.traceparent);
    };
    auto done = co_await services.database.transact(std::move(body), ctx.deadline);
    if (!done) co_return done.error();
    co_return CancelAnswer(std::move(request.answer), false);
}

}  // namespace souk::order::app
