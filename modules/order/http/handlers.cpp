#include "http/handlers.hpp"

#include "app/cancel_order.hpp"
#include "app/place_order.hpp"
#include "app/queries.hpp"
#include "http/decode.hpp"
#include "http/encode.hpp"
#include "souk/id.hpp"

#include <charconv>

namespace souk::order::http_api {

namespace {

using http::Request;
using http::Response;

constexpr app::Renderer renderer{&render_order, &render_problem};
constexpr int first_error_status = 400;

Error field_error(std::string pointer, std::string code, std::string detail) {
    std::vector<FieldError> faults;
    faults.emplace_back(std::move(pointer), std::move(code), std::move(detail));
    return invalid("validation_failed", "the request body has faults, see errors")
        .with_fields(std::move(faults));
}

/// What both ways of placing an order have in common.
app::PlaceCommand make_command(
    const CallContext& ctx, const Request& request, OrderInput input, Currency currency
) {
    app::PlaceCommand command(currency);
    command.caller = ctx.identity.subject;
    command.key = request.headers.get("idempotency-key");
    command.body_hash = sha256_hex(request.body);
    command.items = std::move(input.items);
    command.payment_token = std::move(input.payment_token);
    return command;
}

Response to_response(app::PlaceAnswer answer) {
    std::string_view type =
        answer.status < first_error_status ? "application/json" : "application/problem+json";
    Response response(answer.status, std::string(type), std::move(answer.body));
    if (answer.replayed) response.headers.set("Idempotency-Replayed", "true");
    return response;
}

/// A cursor of two texts; `first` when the request has none.
Result<std::vector<std::string>> read_cursor(
    const Request& request, std::string first, std::string second
) {
    if (auto cursor = request.query_param("cursor")) return http::decode_cursor(*cursor, 2);
    std::vector<std::string> fields;
    fields.push_back(std::move(first));
    fields.push_back(std::move(second));
    return fields;
}

std::string make_cursor(std::string first, std::string second) {
    std::vector<std::string> fields;
    fields.push_back(std::move(first));
    fields.push_back(std::move(second));
    return http::encode_cursor(fields);
}

Result<app::Position> read_position(const Request& request) {
    const app::Position start;
    auto fields = read_cursor(request, std::to_string(start.placed_at), start.id);
    if (!fields) return fields.error();
    const std::string& time = (*fields)[0];
    std::int64_t placed_at = 0;
    auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), placed_at);
    if (error == std::errc{} && end == time.data() + time.size())
        return app::Position(placed_at, (*fields)[1]);
    return invalid("bad_cursor", "the cursor was not made by this API");
}

bool matches(std::string_view header, std::string_view etag) {
    return header == "*" || header.find(etag) != std::string_view::npos;
}

}  // namespace

Answer post_order(app::Services& services, CallContext ctx, Request request) {
    auto input = json::decode_as(request.body, &read_order);
    if (!input) co_return input.error();
    auto token = domain::check_payment_token(input->payment_token);
    if (!token) co_return token.error();
    app::PlaceCommand command =
        make_command(ctx, request, std::move(*input), services.limits.currency);
    command.route = "POST /api/orders";
    command.user_id = ctx.identity.subject;
    auto answer = co_await app::place_order(services, std::move(ctx), std::move(command), renderer);
    if (!answer) co_return answer.error();
    co_return to_response(std::move(*answer));
}

Answer post_import(app::Services& services, CallContext ctx, Request request) {
    auto input = json::decode_as(request.body, &read_import);
    if (!input) co_return input.error();
    auto token = domain::check_payment_token(input->order.payment_token);
    if (!token) co_return token.error();
    if (input->currency != services.limits.currency.code())
        co_return field_error("/currency", "currency_mismatch", "not the shop's currency");
    if (input->placed_at > services.clock.now())
        co_return field_error("/placed_at", "in_future", "an order was placed in the past");
    app::ImportRef import;
    import.source = input->source;
    import.external_ref = input->external_ref;
    import.imported_by = ctx.identity.subject;
    import.content_hash = content_hash(*input);
    app::PlaceCommand command =
        make_command(ctx, request, std::move(input->order), services.limits.currency);
    command.route = "POST /api/orders/import";
    command.user_id = input->customer_id;
    command.placed_at = input->placed_at;
    command.import = std::move(import);
    auto answer = co_await app::place_order(services, std::move(ctx), std::move(command), renderer);
    if (!answer) co_return answer.error();
    co_return to_response(std::move(*answer));
}

Answer get_order(app::Services& services, CallContext ctx, Request request) {
    std::string id(request.param("id"));
    auto order = co_await app::get_order(services, std::move(ctx), std::move(id));
    if (!order) co_return order.error();
    const std::string etag = etag_of(*order);
    Response response(304, {}, {});
    if (!matches(request.headers.get("if-none-match"), etag))
        response = Response::json(to_json(*order));
    response.headers.set("ETag", etag);
    co_return response;
}

Answer list_orders(app::Services& services, CallContext ctx, Request request) {
    auto limit = request.query_integer("limit", 20, 1, domain::max_page);
    if (!limit) co_return limit.error();
    auto position = read_position(request);
    if (!position) co_return position.error();
    const auto size = static_cast<std::size_t>(*limit);
    // One more shows whether more follow.
    auto orders =
        co_await app::list_orders(services, std::move(ctx), std::move(*position), size + 1);
    if (!orders) co_return orders.error();
    std::string next;
    if (orders->size() > size) {
        orders->erase(orders->begin() + static_cast<std::ptrdiff_t>(size), orders->end());
        const Order& last = orders->back();
        next = make_cursor(std::to_string(to_micros(last.placed_at)), last.id);
    }
    json::array data;
    for (const Order& order : *orders)
        data.push_back(to_json(order));
    co_return http::page(std::move(data), next);
}

Answer post_cancel(app::Services& services, CallContext ctx, Request request) {
    app::CancelCommand command;
    command.caller = ctx.identity.subject;
    command.key = request.headers.get("idempotency-key");
    command.order_id = request.param("id");
    command.body = std::move(request.body);
    auto answer =
        co_await app::cancel_order(services, std::move(ctx), std::move(command), &render_order);
    if (!answer) co_return answer.error();
    Response response(200, "application/json", std::move(answer->body));
    if (answer->replayed) response.headers.set("Idempotency-Replayed", "true");
    co_return response;
}

Answer get_import_summary(app::Services& services, CallContext ctx, Request request) {
    auto source = request.query_param("source");
    if (!source || source->empty()) co_return invalid("bad_query_parameter", "source is required");
    auto summary = co_await app::summarize_import(services, std::move(*source), ctx.deadline);
    if (!summary) co_return summary.error();
    co_return Response::json(to_json(*summary, services.limits.currency));
}

/// All orders, then the intents that are not finished; a page holds one kind.
Answer get_audit(app::Services& services, CallContext ctx, Request request) {
    auto limit = request.query_integer("limit", 100, 1, domain::max_audit_page);
    if (!limit) co_return limit.error();
    auto cursor = read_cursor(request, "order", "");
    if (!cursor) co_return cursor.error();
    const auto size = static_cast<std::size_t>(*limit);
    const std::string after = (*cursor)[1];
    json::array data;
    std::string next;
    if ((*cursor)[0] == "order") {
        auto orders = co_await app::audit_orders(services, after, size, ctx.deadline);
        if (!orders) co_return orders.error();
        for (const Order& order : *orders)
            data.push_back(audit_json(order));
        next = make_cursor("intent", "");
        if (orders->size() == size) next = make_cursor("order", orders->back().id);
        co_return http::page(std::move(data), next);
    }
    auto intents = co_await app::audit_intents(services, after, size, ctx.deadline);
    if (!intents) co_return intents.error();
    for (const auto& intent : *intents)
        data.push_back(audit_json(intent, services.clock.now()));
    if (intents->size() == size) next = make_cursor("intent", intents->back().order_id);
    co_return http::page(std::move(data), next);
}

}  // namespace souk::order::http_api
