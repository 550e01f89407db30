#include "app/import_products.hpp"

#include "souk/id.hpp"
#include "store/catalogue.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

namespace {

void count(ImportOutcome& outcome, store::Upsert product, bool stock_changed) {
    if (product == store::Upsert::created)
        ++outcome.created;
    else if (product == store::Upsert::updated || stock_changed)
        ++outcome.updated;
    else
        ++outcome.unchanged;
}

Task<Result<void>> write(
    Transaction& tx, const std::vector<domain::Product>& products, ImportOutcome& out
) {
    out = ImportOutcome();  // a body may run more than once
    auto upserted = co_await store::upsert_products(tx, products);
    if (!upserted) co_return upserted.error();
    std::vector<store::ReceivedTotal> totals;
    for (std::size_t i = 0; i < products.size(); ++i)
        totals.emplace_back((*upserted)[i].id, products[i].available);
    auto changed = co_await store::set_received(tx, std::move(totals));
    if (!changed) co_return changed.error();
    for (std::size_t i = 0; i < products.size(); ++i) {
        count(out, (*upserted)[i].outcome, (*changed)[i]);
        out.products.emplace_back(products[i].sku, (*upserted)[i].id);
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<ImportOutcome>> import_products(
    Services& services, std::vector<domain::Product> products, Deadline deadline
) {
    const Timestamp now = services.clock.now();
    for (domain::Product& product : products) {
        product.id = make_id("prd", now);
        product.created_at = now;
    }
    ImportOutcome outcome;
    TransactionBody body = [&products, &outcome](Transaction& tx) {
        return write(tx, products, outcome);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return outcome;
}

}  // namespace souk::product::app
