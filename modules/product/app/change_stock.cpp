#include "app/change_stock.hpp"

#include "souk/id.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

namespace {

Error key_reused() {
    return Error(
        ErrorKind::unprocessable,
        "idempotency_key_reused",
        "this Idempotency-Key was used for another request"
    );
}

/// The transaction that changed it comes to nothing with this.
Error too_much_stock() {
    return conflict(
        "too_much_stock", "a product has at most 1,000,000,000,000 units ever received"
    );
}

Task<Result<void>> change_once(
    Transaction& tx, const StockChange& change, RenderStock render, Timestamp now, StockAnswer& out
) {
    std::string hash = sha256_hex(change.product_id + '\n' + change.body);
    auto stored = co_await store::claim_key(tx, change.caller, change.key, hash, now);
    if (!stored) co_return stored.error();
    if (stored->has_value()) {
        if ((*stored)->request_hash != hash) co_return key_reused();
        out.body = (*stored)->answer;
        out.replayed = true;
        co_return Result<void>();
    }
    auto stock = co_await store::change_stock(tx, change.product_id, change.delta);
    if (!stock) co_return stock.error();
    if (!stock->has_value()) co_return not_found("no such product");
    if ((*stock)->received > domain::max_stock) co_return too_much_stock();
    out.body = render(change.product_id, **stock);
    out.replayed = false;
    co_return co_await store::store_answer(tx, change.caller, change.key, out.body);
}

}  // namespace

Task<Result<StockAnswer>> change_stock(
    Services& services, StockChange change, RenderStock render, Deadline deadline
) {
    StockAnswer answer;
    const Timestamp now = services.clock.now();
    TransactionBody body = [&change, &answer, render, now](Transaction& tx) {
        return change_once(tx, change, render, now, answer);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return answer;
}

}  // namespace souk::product::app
