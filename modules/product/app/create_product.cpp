#include "app/create_product.hpp"

#include "souk/id.hpp"
#include "store/catalogue.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

namespace {

Task<Result<void>> insert(Transaction& tx, const domain::Product& product) {
    auto inserted = co_await store::insert_product(tx, product);
    if (!inserted) co_return inserted.error();
    co_return co_await store::insert_stock(tx, product.id, product.available);
}

}  // namespace

Task<Result<domain::Product>> create_product(
    Services& services, domain::Product product, Deadline deadline
) {
    product.created_at = services.clock.now();
    product.id = make_id("prd", product.created_at);
    product.version = 1;
    TransactionBody body = [&product](Transaction& tx) { return insert(tx, product); };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return product;
}

}  // namespace souk::product::app
