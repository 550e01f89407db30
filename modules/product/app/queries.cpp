#include "app/queries.hpp"

namespace souk::product::app {

namespace {

/// Who may change products reads what they wrote; who only browses may see a replica's.
store::Freshness freshness_for(const Identity& caller) {
    const bool writes =
        caller.may("products:write") || caller.may("products:import") || caller.may("stock:write");
    return writes ? store::Freshness::current : store::Freshness::may_lag;
}

}  // namespace

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
