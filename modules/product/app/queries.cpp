#include "app/queries.hpp"

namespace souk::product::app {

namespace {

store::Freshness freshness_for(const Identity& caller) {
    return reads_current(caller) ? store::Freshness::current : store::Freshness::may_lag;
}

}  // namespace

bool reads_current(const Identity& caller) {
    return caller.may("products:write") || caller.may("products:import") ||
           caller.may("stock:write");
}

Task<Result<std::vector<domain::Product>>> list_products(
    Services& services, CallContext ctx, ListFilter filter
) {
    return store::list_products(
        services.database, std::move(filter), freshness_for(ctx.identity), ctx.deadline
    );
}

Task<Result<domain::Product>> get_product(Services& services, CallContext ctx, std::string id) {
    auto product = co_await store::find_product(
        services.database, std::move(id), freshness_for(ctx.identity), ctx.deadline
    );
    if (!product) co_return product.error();
    const bool visible =
        product->has_value() && ((*product)->price || ctx.identity.may("products:write"));
    if (!visible) co_return not_found("no such product");
    co_return std::move(**product);
}

Task<Result<std::vector<StockRow>>> audit_stock(
    Services& services, std::string after_product, std::size_t limit, Deadline deadline
) {
    return store::audit_stock(services.database, std::move(after_product), limit, deadline);
}

Task<Result<std::vector<ReservationRow>>> audit_reservations(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
) {
    return store::audit_reservations(services.database, std::move(after_order), limit, deadline);
}

}  // namespace souk::product::app
