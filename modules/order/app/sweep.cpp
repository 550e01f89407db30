#include "app/sweep.hpp"

#include "app/announce.hpp"
#include "store/intents.hpp"

namespace souk::order::app {

namespace {

constexpr std::size_t batch = 100;
constexpr seconds step_time{5};
constexpr seconds release_lease{5};  // of what this sweeper fenced; then another one may go on
constexpr std::string_view payment_timeout = "payment_timeout";

Task<Result<void>> kill(
    Transaction& tx,
    const std::vector<store::Lease>& abandoned,
    Timestamp lease_until,
    std::vector<store::Lease>& out
) {
    auto dead = co_await store::kill_intents(tx, abandoned, lease_until);
    if (!dead) co_return dead.error();
    out = std::move(*dead);
    co_return Result<void>();
}

/// What somebody else is just changing is left to the next sweep: a sweeper that holds some rows
/// never waits for others, so it cannot deadlock with a consumer, whose batches come in any order.
Task<Result<void>> cancel_all(
    Services& services, Transaction& tx, const std::vector<std::string>& ids
) {
    for (const std::string& id : ids) {
        auto cancelled = co_await cancel(
            services, tx, id, payment_timeout, std::string(), store::WhenLocked::skip
        );
        if (!cancelled) co_return cancelled.error();
    }
    co_return Result<void>();
}

bool is_away(const Error& error) {
    return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::timeout;
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
    if (services_.stopping) co_return;
    auto orders = co_await cancel_overdue_orders();
    if (!orders) services_.log.warn("orders were not swept", {{"error", orders.error().detail}});
}

/// Fence, release, forget, in this order: a holder that still lives can neither commit after the
/// fence nor reserve after the release, and the row stays until the stock is back. Of two sweepers
/// one fences a row, and the other leaves it alone for a while.
Task<Result<void>> Sweeper::end_abandoned_intents() {
    // A lease longer than the lease itself, so that a client's retry comes first.
    const Timestamp now = services_.clock.now();
    auto abandoned = co_await store::find_abandoned(
        services_.database,
        now - services_.limits.intent_lease,
        now,
        batch,
        Deadline(services_.clock, step_time)
    );
    if (!abandoned) co_return abandoned.error();
    if (abandoned->empty() || services_.stopping) co_return Result<void>();

    std::vector<store::Lease> dead;
    TransactionBody fence = [&abandoned, &dead, now](Transaction& tx) {
        return kill(tx, *abandoned, now + release_lease, dead);
    };
    auto fenced = co_await services_.database.transact(
        std::move(fence), Deadline(services_.clock, step_time)
    );
    if (!fenced) co_return fenced.error();

    std::vector<store::Lease> released;
    for (store::Lease& lease : dead) {
        if (services_.stopping) co_return Result<void>();  // its row stays: releasing is repeatable
        auto done = co_await services_.product->release(context(), lease.order_id);
        if (done) {
            released.push_back(std::move(lease));
            continue;
        }
        services_.log.warn("a hold was not released", {{"order_id", lease.order_id}});
        if (is_away(done.error())) break;
    }
    if (released.empty() || services_.stopping) co_return Result<void>();
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
        if (services_.stopping) co_return Result<void>();
        auto outcome = co_await services_.payment->void_order(context(), order.id);
        if (outcome) {
            if (*outcome == payment::VoidOutcome::fenced) fenced.push_back(order.id);
            continue;
        }
        services_.log.warn(
            "a payment was not voided", {{"order_id", order.id}, {"error", outcome.error().detail}}
        );
        // Away: the next sweep asks again. What one order meets must not keep the others waiting.
        if (is_away(outcome.error())) break;
    }
    if (fenced.empty() || services_.stopping) co_return Result<void>();
    TransactionBody body = [this, &fenced](Transaction& tx) {
        return cancel_all(services_, tx, fenced);
    };
    co_return co_await services_.database.transact(
        std::move(body), Deadline(services_.clock, step_time)
    );
}

}  // namespace souk::order::app
