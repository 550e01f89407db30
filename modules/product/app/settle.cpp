#include "app/settle.hpp"

#include "store/stock.hpp"

namespace souk::product::app {

namespace {

using store::ReservationStatus;

Error hold_committed() {
    return conflict("hold_committed", "the order is paid and its units are sold");
}

Task<Result<void>> release_in(Transaction& tx, std::string order_id, Timestamp now) {
    // The tombstone first: if the order has no reservation, it never gets one.
    auto buried = co_await store::insert_tombstone(tx, order_id, now);
    if (!buried) co_return buried.error();
    if (*buried) co_return Result<void>();
    auto released =
        co_await store::settle_reservation(tx, order_id, ReservationStatus::released, now);
    if (!released) co_return released.error();
    if (*released) co_return Result<void>();
    auto status = co_await store::find_reservation(tx, order_id);
    if (!status) co_return status.error();
    if (*status == ReservationStatus::committed) co_return hold_committed();
    co_return Result<void>();
}

}  // namespace

Task<Result<void>> release(Services& services, std::string order_id, Deadline deadline) {
    const Timestamp now = services.clock.now();
    TransactionBody body = [&order_id, now](Transaction& tx) {
        return release_in(tx, order_id, now);
    };
    co_return co_await services.database.transact(std::move(body), deadline);
}

Task<Result<void>> on_orders_paid(
    Services& services, Transaction& tx, std::span<const Event> events
) {
    std::vector<std::string> ids;
    for (const Event& event : events)
        ids.push_back(event.aggregate_id);
    const Timestamp now = services.clock.now();
    auto committed =
        co_await store::settle_reservations(tx, ids, ReservationStatus::committed, now);
    if (!committed) co_return committed.error();
    for (const std::string& id : ids) {
        if (committed->contains(id)) continue;
        auto status = co_await store::find_reservation(tx, id);
        if (!status) co_return status.error();
        if (*status != ReservationStatus::committed)
            services.log.error("a paid order has no hold", {{"order_id", id}});
    }
    co_return Result<void>();
}

Task<Result<void>> on_order_cancelled(Services& services, Transaction& tx, const Event& event) {
    auto released = co_await release_in(tx, event.aggregate_id, services.clock.now());
    if (released) co_return Result<void>();
    if (released.error().code != "hold_committed") co_return released.error();
    services.log.error("a cancelled order has sold units", {{"order_id", event.aggregate_id}});
    co_return Result<void>();
}

}  // namespace souk::product::app
