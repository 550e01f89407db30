#include "app/payment_events.hpp"

#include "app/announce.hpp"
#include "souk/json.hpp"
#include "store/orders.hpp"

#include <map>

namespace souk::order::app {

namespace {

std::string read_order_id(json::ObjectReader& in) {
    return in.text("order_id", json::TextRule{1, 100});
}

/// After nothing changed: an order that is not pending any more is a stale event, an order that is
/// not there an early one. So is one that is pending: it was committed after the update looked.
Task<Result<void>> stale_or_early(Transaction& tx, std::string order_id) {
    auto status = co_await store::find_status(tx, std::move(order_id));
    if (!status) co_return status.error();
    if (status->empty() || *status == "pending") co_return gap();
    co_return Result<void>();
}

Task<Result<void>> cancel_for(
    Services& services, Transaction& tx, const Event& event, std::string reason
) {
    auto order_id = json::decode_as(event.data, &read_order_id, json::Unknown::ignore);
    if (!order_id) co_return order_id.error();
    auto cancelled = co_await cancel(
        services, tx, *order_id, std::move(reason), event.traceparent, store::WhenLocked::wait
    );
    if (!cancelled) co_return cancelled.error();
    if (*cancelled) co_return Result<void>();
    co_return co_await stale_or_early(tx, *order_id);
}

}  // namespace

Task<Result<void>> on_payments_captured(
    Services& services, Transaction& tx, std::span<const Event> events
) {
    std::map<std::string, std::string> traces;
    for (const Event& event : events) {
        auto order_id = json::decode_as(event.data, &read_order_id, json::Unknown::ignore);
        if (!order_id) co_return order_id.error();
        traces.emplace(std::move(*order_id), event.traceparent);
    }
    auto paid = co_await pay(services, tx, traces);
    if (!paid) co_return paid.error();
    for (const auto& [order_id, trace] : traces) {
        if (paid->contains(order_id)) continue;
        auto ignored = co_await stale_or_early(tx, order_id);
        if (!ignored) co_return ignored;
    }
    co_return Result<void>();
}

Task<Result<void>> on_payment_declined(Services& services, Transaction& tx, const Event& event) {
    return cancel_for(services, tx, event, "payment_declined");
}

Task<Result<void>> on_payment_refunded(Services& services, Transaction& tx, const Event& event) {
    return cancel_for(services, tx, event, "payment_refunded");
}

}  // namespace souk::order::app
