#include "app/update_product.hpp"

#include "store/catalogue.hpp"

namespace souk::product::app {

namespace {

Error version_mismatch() {
    return Error(
        ErrorKind::precondition_failed, "version_mismatch", "the product has changed since"
    );
}

void apply(domain::Product& product, ProductChange change) {
    if (change.name) product.name = std::move(*change.name);
    if (change.description) product.description = std::move(*change.description);
    if (change.category) product.category = std::move(*change.category);
    if (!change.price) return;
    product.currency = change.price->currency;
    product.price = UnitPrice::from_minor(change.price->amount);
}

Task<Result<void>> write(Transaction& tx, const domain::Product& product, Timestamp now) {
    auto written = co_await store::update_product(tx, product, now);
    if (!written) co_return written.error();
    if (!*written) co_return version_mismatch();
    co_return Result<void>();
}

}  // namespace

Task<Result<domain::Product>> update_product(
    Services& services,
    std::string id,
    std::int64_t expected_version,
    ProductChange change,
    Deadline deadline
) {
    auto found = co_await store::find_product(
        services.database, std::move(id), store::Freshness::current, deadline
    );
    if (!found) co_return found.error();
    if (!found->has_value()) co_return not_found("no such product");
    domain::Product product = std::move(**found);
    if (product.version != expected_version) co_return version_mismatch();
    apply(product, std::move(change));
    const Timestamp now = services.clock.now();
    TransactionBody body = [&product, now](Transaction& tx) { return write(tx, product, now); };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    ++product.version;
    co_return product;
}

}  // namespace souk::product::app
