#include "app/forget_requests.hpp"

#include "store/stock.hpp"

namespace souk::product::app {

namespace {

Task<Result<void>> prune(Transaction& tx, Timestamp before) {
    auto pruned = co_await store::prune_requests(tx, before, max_forgotten);
    if (!pruned) co_return pruned.error();
    co_return Result<void>();
}

}  // namespace

Task<void> forget_old_requests(Services& services) {
    const Timestamp before = services.clock.now() - request_retention;
    const Deadline deadline(services.clock, seconds(5));
    TransactionBody body = [before](Transaction& tx) { return prune(tx, before); };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done)
        services.log.warn("old stock requests stay for now", {{"error", done.error().detail}});
}

}  // namespace souk::product::app
