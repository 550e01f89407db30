#include "app/claim.hpp"

#include "souk/id.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

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
    Transaction& tx, store::IntentRequest request, std::optional<store::Claimed>& out
) {
    auto claimed = co_await store::claim_intent(tx, std::move(request));
    if (!claimed) co_return claimed.error();
    out = std::move(*claimed);
    co_return Result<void>();
}

Task<Result<std::optional<store::Claimed>>> claim_alone(
    Services& services, const store::IntentRequest& request, Deadline deadline
) {
    std::optional<store::Claimed> claimed;
    TransactionBody body = [&request, &claimed](Transaction& tx) {
        return claim_in(tx, request, claimed);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return claimed;
}

Task<Result<std::optional<store::Claimed>>> claim_now(
    Services& services, const store::IntentRequest& request, Deadline deadline
) {
    if (services.claims != nullptr) {
        ClaimRequest together(request, deadline);
        auto outcome = co_await services.claims->call(std::move(together));
        if (!outcome) co_return outcome.error();
        if (outcome->decided) co_return std::move(outcome->claimed);
    }
    co_return co_await claim_alone(services, request, deadline);
}

/// What becomes of many in one transaction.
struct Batch {
    std::vector<store::IntentRequest> requests;
    std::vector<std::optional<store::Claimed>> outcomes;
};

Task<Result<void>> claim_batch(Transaction& tx, std::shared_ptr<Batch> batch) {
    auto outcomes = co_await store::claim_intents(tx, batch->requests);
    if (!outcomes) co_return outcomes.error();
    batch->outcomes = std::move(*outcomes);
    co_return Result<void>();
}

/// Somebody else has the intent, or it has its answer.
Task<Result<Claim>> look_up(Services& services, const PlaceCommand& command, Deadline deadline) {
    auto found = co_await store::find_intent(
        services.database, command.caller, command.route, command.key, deadline
    );
    if (!found) co_return found.error();
    if (!found->has_value()) co_return in_flight();  // dropped this very moment
    const store::StoredIntent& intent = **found;
    if (intent.body_hash != command.body_hash) co_return key_reused();
    if (!intent.final) co_return in_flight();
    Claim claim;
    claim.answer = PlaceAnswer(intent.answer_status, intent.answer_body, true);
    co_return claim;
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
    request.import = command.import;
    auto claimed = co_await claim_now(services, request, deadline);
    if (!claimed) co_return claimed.error();
    if (!claimed->has_value()) co_return co_await look_up(services, command, deadline);
    Claim claim;
    claim.lease = std::move((*claimed)->lease);
    claim.duplicate = std::move((*claimed)->duplicate);
    co_return claim;
}

Task<Claims::Answers> claim_together(Services& services, std::vector<ClaimRequest> requests) {
    Claims::Answers answers(requests.size(), ClaimOutcome());
    // Two transactions meet their keys in one order; each key once, since a statement changes no
    // row twice.
    std::map<std::tuple<std::string, std::string, std::string>, std::size_t> places;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const store::IntentRequest& intent = requests[i].intent;
        if (requests[i].deadline.passed(services.clock)) continue;
        places.emplace(std::tuple(intent.caller, intent.route, intent.key), i);
    }
    if (places.empty()) co_return answers;
    auto batch = std::make_shared<Batch>();
    SteadyTime first = SteadyTime::max();  // whose time ends
    for (const auto& [key, i] : places) {
        first = std::min(first, requests[i].deadline.at());
        batch->requests.push_back(std::move(requests[i].intent));
    }
    TransactionBody body = [batch](Transaction& tx) { return claim_batch(tx, batch); };
    auto done = co_await services.database.transact(std::move(body), Deadline(first));
    if (!done && !concerns_all(done.error())) co_return answers;
    std::size_t at = 0;
    for (const auto& [key, i] : places) {
        if (!done) {
            answers[i] = done.error();
            continue;
        }
        answers[i]->decided = true;
        answers[i]->claimed = std::move(batch->outcomes[at++]);
    }
    co_return answers;
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
