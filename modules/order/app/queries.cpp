#include "app/queries.hpp"

namespace souk::order::app {

Task<Result<Order>> get_order(Services& services, CallContext ctx, std::string id) {
    std::vector<std::string> ids(1, std::move(id));
    auto orders = co_await store::find_orders(services.database, std::move(ids), ctx.deadline);
    if (!orders) co_return orders.error();
    const bool visible = !orders->empty() && (orders->front().user_id == ctx.identity.subject ||
                                              ctx.identity.may("orders:read"));
    if (!visible) co_return not_found("no such order");
    co_return std::move(orders->front());
}

Task<Result<std::vector<Order>>> list_orders(
    Services& services, CallContext ctx, Position after, std::size_t limit
) {
    return store::list_orders(
        services.database, ctx.identity.subject, std::move(after), limit, ctx.deadline
    );
}

Task<Result<ImportSummary>> summarize_import(
    Services& services, std::string source, Deadline deadline
) {
    return store::summarize_import(services.database, std::move(source), deadline);
}

Task<Result<std::vector<Order>>> audit_orders(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
) {
    return store::audit_orders(services.database, std::move(after_order), limit, deadline);
}

Task<Result<std::vector<UnfinishedIntent>>> audit_intents(
    Services& services, std::string after_order, std::size_t limit, Deadline deadline
) {
    return store::audit_intents(services.database, std::move(after_order), limit, deadline);
}

}  // namespace souk::order::app
