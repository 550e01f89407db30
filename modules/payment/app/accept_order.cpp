#include "app/accept_order.hpp"

#include "app/announce.hpp"
#include "souk/id.hpp"
#include "souk/json.hpp"
#include "store/payment_store.hpp"

namespace souk::payment::app {

namespace {

struct Placed {
    std::string order_id;
    std::string user_id;
    std::int64_t amount = 0;
    std::string currency;
    std::string token;
};

Placed read_placed(json::ObjectReader& in) {
    Placed placed;
    placed.order_id = in.text("order_id", {.min = 1, .max = 64});
    placed.user_id = in.text("user_id", {.max = 64});
    placed.amount = in.integer("amount", {.min = 0, .max = max_amount});
    placed.currency = in.text("currency", {.min = 3, .max = 3});
    placed.token = in.text("payment_token", {.max = 255});
    return placed;
}

}  // namespace

Task<Result<void>> accept_order(Transaction& tx, const Clock& clock, Event event) {
    auto placed = json::decode_as(event.data, &read_placed, json::Unknown::ignore);
    if (!placed) co_return placed.error();
    auto currency = Currency::parse(placed->currency);
    if (!currency) co_return currency.error();
    const auto now = clock.now();
    const Money total(placed->amount, *currency);
    store::Payment payment(
        make_id("pay", now),
        placed->order_id,
        placed->user_id,
        std::string("pending"),
        std::string(),
        total
    );
    payment.version = 0;
    payment.created_at = now;
    store::Attempt attempt(
        make_id("att", now),
        payment.id,
        placed->order_id,
        "charge",
        std::string(),
        placed->token,
        total
    );
    if (placed->amount > 0 && tx.dialect() == Dialect::postgres)
        co_return co_await store::accept(tx, std::move(payment), std::move(attempt));

    const auto free = placed->amount == 0;
    auto fenced = co_await store::lock_fence(tx, placed->order_id);
    if (!fenced) co_return fenced.error();
    if (free) payment.status = "captured";
    if (*fenced) payment.status = "voided";
    payment.version = payment.status == "captured" ? 1 : 0;
    auto inserted = co_await store::insert_payment(tx, payment);
    if (!inserted) co_return inserted.error();
    if (!*inserted || *fenced) co_return Result<void>();
    if (free)
        co_return co_await announce_captured(tx, clock, placed->order_id, payment.id, total, 1);
    co_return co_await store::insert_attempt(tx, std::move(attempt), now);
}

}  // namespace souk::payment::app
