#include "app/announce.hpp"

#include "souk/json.hpp"
#include "souk/payment/events.hpp"

namespace souk::payment::app {

namespace {

Event event_of(
    std::string_view type,
    const std::string& order_id,
    const std::string& payment_id,
    std::int64_t version,
    json::object data
) {
    data["order_id"] = order_id;
    data["payment_id"] = payment_id;
    return Event(std::string(type), payment_id, version, json::serialize(data));
}

json::object money(Money total) {
    json::object data;
    data["amount"] = total.amount;
    data["currency"] = total.currency.code();
    return data;
}

}  // namespace

Task<Result<void>> announce_captured(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    Money total,
    std::int64_t version
) {
    auto event = event_of(events::captured, order_id, payment_id, version, money(total));
    return append_event(tx, clock, std::move(event));
}

Task<Result<void>> announce_refunded(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    Money total,
    std::int64_t version
) {
    auto event = event_of(events::refunded, order_id, payment_id, version, money(total));
    return append_event(tx, clock, std::move(event));
}

Task<Result<void>> announce_declined(
    Transaction& tx,
    const Clock& clock,
    std::string order_id,
    std::string payment_id,
    std::string reason,
    std::int64_t version
) {
    json::object data;
    data["reason"] = reason;
    auto event = event_of(events::declined, order_id, payment_id, version, std::move(data));
    return append_event(tx, clock, std::move(event));
}

}  // namespace souk::payment::app
