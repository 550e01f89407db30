#include "app/announce.hpp"

#include "souk/json.hpp"
#include "souk/order/events.hpp"

namespace souk::order::app {

namespace {

json::object describe(
    std::string_view id, std::string_view number, std::string_view user_id, const Money& total
) {
    json::object data;
    data["order_id"] = id;
    data["number"] = number;
    data["user_id"] = user_id;
    data["amount"] = total.amount;
    data["currency"] = total.currency.code();
    return data;
}

Event make_event(
    std::string_view type,
    std::string order_id,
    std::int64_t version,
    const json::object& data,
    std::string traceparent
) {
    Event event(std::string(type), std::move(order_id), version, json::serialize(data));
    event.traceparent = std::move(traceparent);
    return event;
}

Task<Result<void>> announce(Services& services, Transaction& tx, Event event) {
    tx.after_commit([&bus = services.bus] { bus.wake(); });
    return append_event(tx, services.clock, std::move(event));
}

}  // namespace

Task<Result<void>> announce_placed(
    Services& services,
    Transaction& tx,
    const Order& order,
    std::string payment_token,
    std::string traceparent
) {
    json::object data = describe(order.id, order.number, order.user_id, order.total);
    data["payment_token"] = payment_token;
    Event event = make_event(events::placed, order.id, order.version, data, std::move(traceparent));
    co_return co_await announce(services, tx, std::move(event));
}

Task<Result<std::set<std::string>>> pay(
    Services& services, Transaction& tx, std::map<std::string, std::string> traces
) {
    std::vector<std::string> ids;
    for (const auto& [id, trace] : traces)
        ids.push_back(id);
    auto changed = co_await store::mark_paid(tx, std::move(ids), services.clock.now());
    if (!changed) co_return changed.error();
    std::set<std::string> paid;
    for (const auto& [id, order] : *changed) {
        json::object data = describe(id, order.number, order.user_id, order.total);
        Event event = make_event(events::paid, id, order.version, data, traces.at(id));
        auto appended = co_await announce(services, tx, std::move(event));
        if (!appended) co_return appended.error();
        paid.insert(id);
    }
    co_return paid;
}

Task<Result<bool>> cancel(
    Services& services,
    Transaction& tx,
    std::string order_id,
    std::string_view reason,
    std::string traceparent,
    store::WhenLocked when_locked
) {
    auto changed =
        co_await store::mark_cancelled(tx, order_id, reason, services.clock.now(), when_locked);
    if (!changed) co_return changed.error();
    if (!changed->has_value()) co_return false;
    const store::Changed& order = **changed;
    json::object data = describe(order_id, order.number, order.user_id, order.total);
    data["reason"] = reason;
    Event event =
        make_event(events::cancelled, order_id, order.version, data, std::move(traceparent));
    auto appended = co_await announce(services, tx, std::move(event));
    if (!appended) co_return appended.error();
    co_return true;
}

}  // namespace souk::order::app
