#include "http/routes.hpp"

#include "app/audit.hpp"

namespace souk::notification::http_api {

namespace {

using http::Request;
using http::Response;

Task<Result<Response>> get_audit(
    Database& database, CallContext ctx, std::string cursor, Result<std::int64_t> limit
) {
    if (!limit) co_return limit.error();
    const auto rows = static_cast<std::size_t>(*limit);
    auto page = co_await app::audit(database, std::move(ctx), std::move(cursor), rows);
    if (!page) co_return page.error();
    co_return http::page(std::move(page->rows), page->next_cursor);
}

}  // namespace

http::Routes internal_routes(Database& database) {
    auto handler = [&database](const CallContext& ctx, const Request& request) {
        auto limit = request.query_integer("limit", 500, 1, 1000);
        auto cursor = request.query_param("cursor").value_or(std::string());
        return get_audit(database, ctx, std::move(cursor), std::move(limit));
    };
    http::Routes table;
    table.push_back(http::Route(
                        http::Method::get,
                        "/internal/notification/audit",
                        http::Access::everyone(),
                        "All mails, for souk verify",
                        handler
    )
                        .rate(http::RateClass::none)
                        .within(milliseconds(10'000)));
    return table;
}

}  // namespace souk::notification::http_api
