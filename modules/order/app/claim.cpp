#include "app/claim.hpp"

#include "souk/id.hpp"

namespace souk::order::app {

namespace {

constexpr seconds cleanup_time{2};  // the request's own deadline may have passed

Error key_reused() {
    return Error(
        ErrorKind::unprocessable,
        "idempotency_key_reused",
        "this Idempotency-Key was used for another request"
    );
}

Task<Result<void>> claim_in(
    Transaction& tx, const PlaceCommand& command, store::IntentRequest request, Claim& out
) {
    out = Claim();  // a body may run more than once
    auto lease = co_await store::claim_intent(tx, request);
    if (!lease) co_return lease.error();
    if (lease->has_value()) {
        out.lease = std::move(**lease);
        if (!command.import) co_return Result<void>();
        auto imported =
            co_await store::find_imported(tx, command.import->source, command.import->external_ref);
        if (!imported) co_return imported.error();
        out.duplicate = std::move(*imported);
        co_return Result<void>();
    }
    auto found = co_await store::find_intent(tx, command.caller, command.route, command.key);
    if (!found) co_return found.error();
    if (!found->has_value()) co_return in_flight();  // dropped this very moment
    const store::StoredIntent& intent = **found;
    if (intent.body_hash != command.body_hash) co_return key_reused();
    if (!intent.final) co_return in_flight();
    out.answer = PlaceAnswer(intent.answer_status, intent.answer_body, true);
    co_return Result<void>();
}

}  // namespace

Error in_flight() {
    return conflict("idempotency_in_flight", "a request with this Idempotency-Key is under way")
        .with_retry_after(1);
}

Task<Result<Claim>> claim(Services& services, const PlaceCommand& command, Deadline deadline) {
    store::IntentRequest request;
    request.caller = command.caller;
    request.route = command.route;
    request.key = command.key;
    request.body_hash = command.body_hash;
    request.now = services.clock.now();
    request.lease_until = request.now + services.limits.intent_lease;
    request.order_id = make_id("ord", request.now);
    Claim result;
    TransactionBody body = [&command, &request, &result](Transaction& tx) {
        return claim_in(tx, command, request, result);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return result;
}

Task<void> reopen(Services& services, store::Lease lease) {
    const Timestamp now = services.clock.now();
    TransactionBody body = [&lease, now](Transaction& tx) {
        return store::reopen_intent(tx, lease, now);
    };
    const Deadline deadline(services.clock, cleanup_time);
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) services.log.warn("an intent stays leased", {{"order_id", lease.order_id}});
}

Task<void> forget(Services& services, store::Lease lease) {
    TransactionBody body = [&lease](Transaction& tx) { return store::drop_intent(tx, lease); };
    const Deadline deadline(services.clock, cleanup_time);
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) services.log.warn("an intent stays leased", {{"order_id", lease.order_id}});
}

}  // namespace souk::order::app
