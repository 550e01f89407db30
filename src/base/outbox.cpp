#include "souk/events.hpp"
#include "souk/failpoint.hpp"
#include "souk/id.hpp"

namespace souk {
namespace {

constexpr Statement insert_event{
    "outbox.append",
    "INSERT INTO outbox (event_id, type, aggregate_id, version, data, traceparent, occurred_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)",
    "INSERT INTO outbox (event_id, type, aggregate_id, version, data, traceparent, occurred_at) "
    "SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), "
    "CAST($4 AS BIGINT[]), CAST($5 AS TEXT[]), CAST($6 AS TEXT[]), CAST($7 AS BIGINT[]))"};

}  // namespace

Task<Result<void>> append_event(Transaction& tx, const Clock& clock, Event event) {
    if (failpoint::hit("outbox.append"))
        co_return unavailable("failpoint", "armed failpoint outbox.append");
    Timestamp now = clock.now();
    event.id = make_id("evt", now);
    Params params = bind(
        event.id, event.type, event.aggregate_id, event.version, event.data, event.traceparent, now
    );
    co_return co_await tx.execute_later(insert_event, std::move(params));
}

Subscription::Subscription(std::string type, BatchHandler together)
    : type(std::move(type)), batch_handler(std::move(together)) {
    handler = [all = batch_handler](Transaction& tx, const Event& event) {
        return all(tx, std::span(&event, 1));
    };
}

Error gap() {
    return Error(ErrorKind::conflict, "event_gap", "an earlier event has not arrived yet")
        .with_retry_after(1);
}

}  // namespace souk
