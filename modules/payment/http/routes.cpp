#include "http/routes.hpp"

namespace souk::payment::http_api {

namespace {

using http::Access;
using http::Method;
using http::RateClass;
using http::Request;
using http::Response;
using http::Route;

/// Never the token.
json::object to_json(const domain::Payment& payment) {
    json::object amount;
    amount["amount"] = payment.total.amount;
    amount["currency"] = payment.total.currency.code();
    json::object out;
    out["id"] = payment.id;
    out["order_id"] = payment.order_id;
    out["status"] = payment.status;
    if (!payment.reason.empty()) out["reason"] = payment.reason;
    out["amount"] = std::move(amount);
    out["created_at"] = to_rfc3339(payment.created_at);
    out["updated_at"] = to_rfc3339(payment.updated_at);
    return out;
}

Task<Result<Response>> get_payment(app::Reader& reader, CallContext ctx, std::string id) {
    auto payment = co_await reader.get(std::move(ctx), std::move(id));
    if (!payment) co_return payment.error();
    co_return Response::json(to_json(*payment));
}

Task<Result<Response>> list_payments(
    app::Reader& reader, CallContext ctx, std::optional<std::string> order_id
) {
    if (!order_id || order_id->empty())
        co_return invalid("bad_query_parameter", "Name the order: ?order_id=ord_...");
    auto payment = co_await reader.get_of_order(std::move(ctx), std::move(*order_id));
    if (!payment) co_return payment.error();
    json::array data;
    if (payment->has_value()) data.push_back(to_json(**payment));
    co_return http::page(std::move(data), "");
}

Task<Result<Response>> audit(
    app::Reader& reader, CallContext ctx, std::string cursor, Result<std::int64_t> limit
) {
    if (!limit) co_return limit.error();
    auto page =
        co_await reader.audit(std::move(ctx), std::move(cursor), static_cast<std::size_t>(*limit));
    if (!page) co_return page.error();
    co_return http::page(std::move(page->rows), page->next_cursor);
}

}  // namespace

http::Routes routes(app::Reader& reader) {
    http::Routes table;
    table.push_back(Route(
        Method::get,
        "/api/payments",
        Access::signed_in(),
        "The payment of an order (?order_id=): one's own, or any with payments:read",
        [&reader](const CallContext& ctx, const Request& request) {
            return list_payments(reader, ctx, request.query_param("order_id"));
        }
    ));
    table.push_back(Route(
        Method::get,
        "/api/payments/{id}",
        Access::signed_in(),
        "One payment: one's own, or any with payments:read",
        [&reader](const CallContext& ctx, const Request& request) {
            return get_payment(reader, ctx, std::string(request.param("id")));
        }
    ));
    return table;
}

http::Routes internal_routes(app::Reader& reader) {
    http::Routes table;
    auto handler = [&reader](const CallContext& ctx, const Request& request) {
        auto limit = request.query_integer("limit", 500, 1, 1000);
        auto cursor = request.query_param("cursor").value_or(std::string());
        return audit(reader, ctx, std::move(cursor), std::move(limit));
    };
    table.push_back(Route(
                        Method::get,
                        "/internal/payment/audit",
                        Access::everyone(),
                        "Payments, the ledger's sums and the provider's own books, for souk verify",
                        handler
    )
                        .rate(RateClass::none)
                        .within(milliseconds(10'000)));
    return table;
}

}  // namespace souk::payment::http_api
