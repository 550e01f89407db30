#include "http/routes.hpp"

#include "http/decode.hpp"
#include "http/handlers.hpp"

namespace souk::order::http_api {

namespace {

using http::Access;
using http::Method;
using http::RateClass;
using http::Request;
using http::Route;

using Action = Answer (*)(app::Services&, CallContext, Request);

constexpr milliseconds checkout_time{5000};

http::Handler handler(app::Services& services, Action action) {
    return [&services, action](const CallContext& ctx, const Request& request) {
        return action(services, ctx, request);
    };
}

}  // namespace

http::Routes routes(app::Services& services) {
    http::Routes table;
    const auto add = [&](Route&& route) { table.push_back(std::move(route)); };
    const auto handle = [&](Action action) { return handler(services, action); };

    add(Route(
            Method::post, "/api/orders", Access::signed_in(), "Place an order", handle(&post_order)
    )
            .body(json::documents<&read_order>())
            .idempotent_by_key()
            .rate(RateClass::checkout)
            .within(checkout_time)
            .answers(201));
    add(Route(
        Method::get,
        "/api/orders",
        Access::signed_in(),
        "The caller's orders, newest first; ?limit= &cursor=",
        handle(&list_orders)
    ));
    add(Route(Method::get, "/api/orders/{id}", Access::signed_in(), "One order", handle(&get_order))
    );
    add(Route(
            Method::post,
            "/api/orders/{id}/cancel",
            Access::signed_in(),
            "Cancel an order that is not paid",
            handle(&post_cancel)
    )
            .idempotent_by_key()
            .rate(RateClass::checkout)
            .within(checkout_time));
    add(Route(
            Method::post,
            "/api/orders/import",
            Access::permission("orders:import"),
            "Place a historic or manual order, unique by source and external_ref",
            handle(&post_import)
    )
            .body(json::documents<&read_import>())
            .idempotent_by_key()
            .rate(RateClass::import_)
            .within(checkout_time)
            .answers(201));
    add(Route(
        Method::get,
        "/api/orders/import/summary",
        Access::permission("orders:import"),
        "What one source's imported orders came to; ?source=",
        handle(&get_import_summary)
    ));
    return table;
}

http::Routes internal_routes(app::Services& services) {
    http::Routes table;
    table.push_back(Route(
        Method::get,
        "/internal/order/audit",
        Access::everyone(),
        "Orders and unfinished intents for souk verify",
        handler(services, &get_audit)
    ));
    return table;
}

}  // namespace souk::order::http_api
