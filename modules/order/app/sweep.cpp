#include "app/sweep.hpp"

#include "app/announce.hpp"
#include "store/intents.hpp"

namespace souk::order::app {

namespace {

constexpr std::size_t batch = 100;
constexpr seconds step_time{5};
constexpr std::string_view payment_timeout = "payment_timeout";

Task<Result<void>> kill(
    Transaction& tx, const std::vector<store::Lease>& abandoned, std::vector<store::Lease>& out
) {
    auto dead = co_await store::kill_intents(tx, abandoned);
    if (!dead) co_return dead.error();
    out = std::move(*dead);
    co_return Result<void>();
}

Task<Result<void>> cancel_all(
    Services& services, Transaction& tx, const std::vector<std::string>& ids
) {
    for (const std::string& id : ids) {
        auto cancelled = co_await cancel(services, tx, id, payment_timeout, std::string());
        if (!cancelled) co_return cancelled.error();
    }
    co_return Result<void>();
}

}  // namespace

CallContext Sweeper::context() const {
    CallContext ctx(Deadline(services_.clock, step_time));
    ctx.identity.subject = "system";
    return ctx;
}

Task<void> Sweeper::sweep() {
    auto intents = co_await end_abandoned_intents();
    if (!intents) services_.log.warn("intents were not swept", {{"error", intents.error().detail}});
    auto orders = co_await cancel_overdue_orders();
    if (!orders) services_.log.warn("orders were not swept", {{"error", orders.error().detail}});
}

/// Fence, release, forget, in this order: a holder that still lives can neither commit after the
/// fence nor reserve after the release, and the row stays until the stock is back.
Task<Result<void>> Sweeper::end_abandoned_intents() {
    // A lease longer than the lease itself, so that a client's retry comes first.
    const Timestamp before = services_.clock.now() - services_.limits.intent_lease;
    auto abandoned = co_await store::find_abandoned(
        services_.database, before, batch, Deadline(services_.clock, step_time)
    );
    if (!abandoned) co_return abandoned.error();
    if (abandoned->empty()) co_return Result<void>();

    std::vector<store::Lease> dead;
    TransactionBody fence = [&abandoned, &dead](Transaction& tx) {
        return kill(tx, *abandoned, dead);
    };
    auto fenced = co_await services_.database.transact(
        std::move(fence), Deadline(services_.clock, step_time)
    );
    if (!fenced) co_return fenced.error();

    std::vector<store::Lease> released;
    for (store::Lease& lease : dead) {
        auto done = co_await services_.product->release(context(), lease.order_id);
        if (done)
            released.push_back(std::move(lease));
        else
            services_.log.warn("a hold was not released", {{"order_id", lease.order_id}});
    }
    TransactionBody drop = [&released](Transaction& tx) {
        return store::drop_intents(tx, released);
    };
    co_return co_await services_.database.transact(
        std::move(drop), Deadline(services_.clock, step_time)
    );
}

/// Never by the clock alone: payment must have promised that it will not charge any more.
Task<Result<void>> Sweeper::cancel_overdue_orders() {
    const Timestamp before = services_.clock.now() - services_.limits.payment_timeout;
    auto overdue = co_await store::find_overdue(
        services_.database, after_, before, batch, Deadline(services_.clock, step_time)
    );
    if (!overdue) co_return overdue.error();
    after_ = store::PendingOrder();
    if (overdue->size() == batch) after_ = overdue->back();

    std::vector<std::string> fenced;
    for (const store::PendingOrder& order : *overdue) {
        auto outcome = co_await services_.payment->void_order(context(), order.id);
        if (outcome) {
            if (*outcome == payment::VoidOutcome::fenced) fenced.push_back(order.id);
            continue;
        }
        services_.log.warn(
            "a payment was not voided", {{"order_id", order.id}, {"error", outcome.error().detail}}
        );
        // Away: the next sweep asks again. What one order meets must not keep the others waiting.
        const ErrorKind kind = outcome.error().kind;
        if (kind == ErrorKind::unavailable || kind == ErrorKind::timeout) break;
    }
    if (fenced.empty()) co_return Result<void>();
    TransactionBody body = [this, &fenced](Transaction& tx) {
        return cancel_all(services_, tx, fenced);
    };
    auto done =
        co_await services_.database.transact(std::move(body), Deadline(services_.clock, step_time));
    if (!done) co_return done.error();
    services_.bus.wake();
    co_return Result<void>();
}

}  // namespace souk::order::app
