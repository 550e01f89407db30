#include "app/prune.hpp"

#include "store/cancellations.hpp"
#include "store/intents.hpp"

namespace souk::order::app {

namespace {

constexpr std::int64_t batch = 500;  // rows of each kind a commit
constexpr int most_batches = 20;
constexpr seconds step_time{5};

Task<Result<void>> prune_batch(Transaction& tx, Timestamp before, bool& more) {
    auto intents = co_await store::prune_intents(tx, before, batch);
    if (!intents) co_return intents.error();
    auto cancellations = co_await store::prune_cancel_requests(tx, before, batch);
    if (!cancellations) co_return cancellations.error();
    more = *intents == batch || *cancellations == batch;
    co_return Result<void>();
}

}  // namespace

Task<void> prune(Services& services) {
    const Timestamp before = services.clock.now() - keep_answers;
    bool more = true;
    for (int i = 0; more && !services.stopping && i < most_batches; ++i) {
        TransactionBody body = [before, &more](Transaction& tx) {
            return prune_batch(tx, before, more);
        };
        const Deadline deadline(services.clock, step_time);
        auto done = co_await services.database.transact(std::move(body), deadline);
        if (done) continue;
        services.log.warn("old answers were not pruned", {{"error", done.error().detail}});
        co_return;
    }
}

}  // namespace souk::order::app
