#include "http/routes.hpp"

#include "domain/product.hpp"
#include "http/decode.hpp"
#include "http/handlers.hpp"

namespace souk::product::http_api {

namespace {

using http::Access;
using http::Method;
using http::RateClass;
using http::Request;
using http::Route;

using Action = Answer (*)(app::Services&, CallContext, Request);
using Look = Answer (*)(app::Services&, const CallContext&, const Request&);

template <class Function>
http::Handler handler(app::Services& services, Function action) {
    return [&services, action](const CallContext& ctx, const Request& request) {
        return action(services, ctx, request);
    };
}

}  // namespace

http::Routes routes(app::Services& services) {
    http::Routes table;
    const auto add = [&](Route&& route) { table.push_back(std::move(route)); };
    const auto handle = [&](Action action) { return handler(services, action); };
    const auto show = [&](Look look) { return handler(services, look); };

    add(Route(
        Method::get,
        "/api/products",
        Access::everyone(),
        "Published products, newest first; ?limit= &cursor= &q= &category=",
        show(&list_products)
    ));
    add(Route(
        Method::get, "/api/products/{id}", Access::everyone(), "One product", show(&get_product)
    ));
    add(Route(
            Method::post,
            "/api/products",
            Access::permission("products:write"),
            "Add a product",
            handle(&post_product)
    )
            .body(json::documents<&read_new_product>())
            .answers(201));
    add(Route(
            Method::patch,
            "/api/products/{id}",
            Access::permission("products:write"),
            "Change a product; If-Match required",
            handle(&patch_product)
    )
            .body(json::documents<&read_change>()));
    add(Route(
            Method::post,
            "/api/products/{id}/stock",
            Access::permission("stock:write"),
            "Add units to stock, or take them off",
            handle(&post_stock)
    )
            .body(json::documents<&read_delta>())
            .idempotent_by_key());
    add(Route(
            Method::post,
            "/api/products/import",
            Access::permission("products:import"),
            "Take a catalogue over from another system, idempotent by SKU",
            handle(&post_import)
    )
            .body(json::documents<&read_import>())
            .rate(RateClass::import_)
            .max_body(8 << 20)
            .within(milliseconds{5000}));
    return table;
}

http::Routes internal_routes(app::Services& services) {
    http::Routes table;
    table.push_back(Route(
        Method::get,
        "/internal/product/audit",
        Access::everyone(),
        "Stock and reservations for souk verify",
        handler(services, &get_audit)
    ));
    return table;
}

}  // namespace souk::product::http_api
