#include "http/handlers.hpp"

#include "app/change_stock.hpp"
#include "app/create_product.hpp"
#include "app/import_products.hpp"
#include "app/queries.hpp"
#include "http/decode.hpp"
#include "http/encode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace souk::product::http_api {

namespace {

using http::Request;
using http::Response;

constexpr std::size_t max_search = 100;  // bytes
constexpr std::size_t max_id = 40;       // ours are shorter; others are not worth a key
constexpr const char* json_type = "application/json";

Error bad_cursor() {
    return invalid("bad_cursor", "the cursor was not made by this API");
}

Result<app::Position> read_position(const Request& request) {
    auto cursor = request.query_param("cursor");
    if (!cursor) return app::Position();
    auto fields = http::decode_cursor(*cursor, 2);
    if (!fields) return fields.error();
    const std::string& time = (*fields)[0];
    std::int64_t created_at = 0;
    auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), created_at);
    if (error != std::errc{} || end != time.data() + time.size()) return bad_cursor();
    return app::Position(created_at, (*fields)[1]);
}

Result<app::ListFilter> read_filter(const Request& request) {
    app::ListFilter filter;
    auto limit = request.query_integer("limit", 20, 1, domain::max_page);
    if (!limit) return limit.error();
    filter.limit = static_cast<std::size_t>(*limit);
    auto position = read_position(request);
    if (!position) return position.error();
    filter.after = std::move(*position);
    filter.category = request.query_param("category").value_or("");
    filter.search = request.query_param("q").value_or("");
    if (filter.search.size() > max_search || filter.category.size() > max_search)
        return invalid("bad_query_parameter", "q and category are at most 100 bytes");
    return filter;
}

bool matches(std::string_view header, std::string_view etag) {
    return header == "*" || header.find(etag) != std::string_view::npos;
}

Response with_etag(const domain::Product& product, int status = 200) {
    Response response(status, json_type, render(product));
    response.headers.set("ETag", etag_of(product));
    return response;
}

/// The version in "3-120", quotes included; 0, which no row has, for what is no ETag of ours.
std::int64_t version_in(std::string_view etag) {
    const char* end = etag.data() + etag.size();
    std::int64_t version = 0;
    std::int64_t available = 0;
    if (!etag.starts_with('"')) return 0;
    const auto first = std::from_chars(etag.data() + 1, end, version);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return 0;
    const auto second = std::from_chars(first.ptr + 1, end, available);
    if (second.ec != std::errc{} || second.ptr + 1 != end || *second.ptr != '"') return 0;
    return version;
}

/// The version in If-Match; the stock behind it does not count: a sale must not defeat a new price.
Result<std::int64_t> expected_version(const Request& request) {
    std::string_view etag = request.headers.get("if-match");
    if (etag.empty())
        return Error(
            ErrorKind::precondition_required, "if_match_required", "send If-Match with the ETag"
        );
    return version_in(etag);
}

struct AuditCursor {
    AuditCursor() = default;
    std::string phase = "stock";
    std::string last;
};

Result<AuditCursor> read_audit_cursor(const Request& request) {
    AuditCursor cursor;
    auto text = request.query_param("cursor");
    if (!text) return cursor;
    auto fields = http::decode_cursor(*text, 2);
    if (!fields) return fields.error();
    cursor.phase = (*fields)[0];
    cursor.last = (*fields)[1];
    return cursor;
}

std::string two_part_cursor(std::string phase, std::string last) {
    std::vector<std::string> fields;
    fields.push_back(std::move(phase));
    fields.push_back(std::move(last));
    return http::encode_cursor(fields);
}

template <class Row>
json::array to_array(const std::vector<Row>& rows) {
    json::array data;
    data.reserve(rows.size());
    for (const Row& row : rows)
        data.push_back(to_json(row));
    return data;
}

bool may_be_rendered_before(const app::Services& services, const CallContext& ctx) {
    return services.rendered != nullptr && !app::reads_current(ctx.identity);
}

Task<Result<std::string>> list_page(
    app::Services& services, CallContext ctx, app::ListFilter filter
) {
    const std::size_t limit = filter.limit++;  // one more shows whether more follow
    auto products = co_await app::list_products(services, std::move(ctx), std::move(filter));
    if (!products) co_return products.error();
    std::string next;
    const std::size_t count = std::min(limit, products->size());
    if (products->size() > count) {
        const domain::Product& last = (*products)[count - 1];
        next = two_part_cursor(std::to_string(to_micros(last.created_at)), last.id);
    }
    co_return render_page(*products, count, next);
}

/// The ETag, a line's end, the body; empty for what is not there, which may be remembered, too.
Task<Result<std::string>> render_item(app::Services& services, CallContext ctx, std::string id) {
    auto product = co_await app::get_product(services, std::move(ctx), std::move(id));
    if (product) co_return etag_of(*product) + '\n' + render(*product);
    if (product.error().kind != ErrorKind::not_found) co_return product.error();
    co_return std::string();
}

/// What a reader's function refers to: one reference needs no memory of its own.
struct PageLoad {
    PageLoad(app::Services& services, const CallContext& ctx, const app::ListFilter& filter)
        : services(services), ctx(ctx), filter(filter) {}
    Task<Result<std::string>> run() const { return list_page(services, ctx, filter); }
    app::Services& services;
    const CallContext& ctx;
    const app::ListFilter& filter;
};

struct ItemLoad {
    ItemLoad(app::Services& services, const CallContext& ctx, const std::string& id)
        : services(services), ctx(ctx), id(id) {}
    Task<Result<std::string>> run() const { return render_item(services, ctx, id); }
    app::Services& services;
    const CallContext& ctx;
    const std::string& id;
};

/// A product, or that the caller has it already.
Response shown(const Request& request, const std::string& etag, std::string body) {
    Response response(304, {}, {});
    if (!matches(request.headers.get("if-none-match"), etag))
        response = Response(200, json_type, std::move(body));
    response.headers.set("ETag", etag);
    return response;
}

Task<void> show_change(app::Services& services) {
    if (services.rendered != nullptr) co_await services.rendered->changed();
}

}  // namespace

// The dispatcher's `ctx` and `request` stay until the answer is there, and an answer that is kept
// needs no copies of them.
Answer list_products(app::Services& services, const CallContext& ctx, const Request& request) {
    auto filter = read_filter(request);
    if (!filter) co_return filter.error();
    const bool first_page = !request.query_param("cursor") && filter->search.empty();
    if (!first_page || !may_be_rendered_before(services, ctx)) {
        auto page = co_await list_page(services, ctx, std::move(*filter));
        if (!page) co_return page.error();
        co_return Response(200, json_type, std::move(*page));
    }
    const fmt::format_int size(filter->limit);
    std::string question = "list:";
    question.append(size.data(), size.size()).append(":").append(filter->category);
    const PageLoad load(services, ctx, *filter);
    ReadThrough::Load reader = [&load] { return load.run(); };
    auto page =
        co_await services.rendered->answer(std::move(question), ctx.deadline, std::move(reader));
    if (!page) co_return page.error();
    co_return Response(200, json_type, std::move(*page));
}

Answer get_product(app::Services& services, const CallContext& ctx, const Request& request) {
    std::string id(request.param("id"));
    if (!may_be_rendered_before(services, ctx) || id.size() > max_id) {
        auto product = co_await app::get_product(services, ctx, std::move(id));
        if (!product) co_return product.error();
        co_return shown(request, etag_of(*product), render(*product));
    }
    std::string question = "item:" + id;
    const ItemLoad load(services, ctx, id);
    ReadThrough::Load reader = [&load] { return load.run(); };
    auto item =
        co_await services.rendered->answer(std::move(question), ctx.deadline, std::move(reader));
    if (!item) co_return item.error();
    const auto line_end = item->find('\n');
    if (line_end == std::string::npos) co_return not_found("no such product");
    const std::string etag = item->substr(0, line_end);
    item->erase(0, line_end + 1);
    co_return shown(request, etag, std::move(*item));
}

Answer post_product(app::Services& services, CallContext ctx, Request request) {
    auto input = json::decode_as(request.body, &read_new_product);
    if (!input) co_return input.error();
    auto product = co_await app::create_product(services, std::move(*input), ctx.deadline);
    if (!product) co_return product.error();
    co_await show_change(services);
    Response response = with_etag(*product, 201);
    response.headers.set("Location", "/api/products/" + product->id);
    co_return response;
}

Answer patch_product(app::Services& services, CallContext ctx, Request request) {
    auto version = expected_version(request);
    if (!version) co_return version.error();
    auto change = json::decode_as(request.body, &read_change);
    if (!change) co_return change.error();
    std::string id(request.param("id"));
    auto product = co_await app::update_product(
        services, std::move(id), *version, std::move(*change), ctx.deadline
    );
    if (!product) co_return product.error();
    co_await show_change(services);
    co_return with_etag(*product);
}

Answer post_stock(app::Services& services, CallContext ctx, Request request) {
    auto delta = json::decode_as(request.body, &read_delta);
    if (!delta) co_return delta.error();
    app::StockChange change;
    change.caller = ctx.identity.subject;
    change.key = request.headers.get("idempotency-key");
    change.product_id = request.param("id");
    change.body = std::move(request.body);
    change.delta = *delta;
    auto answer =
        co_await app::change_stock(services, std::move(change), &render_stock, ctx.deadline);
    if (!answer) co_return answer.error();
    co_await show_change(services);
    Response response(200, json_type, std::move(answer->body));
    if (answer->replayed) response.headers.set("Idempotency-Replayed", "true");
    co_return response;
}

Answer post_import(app::Services& services, CallContext ctx, Request request) {
    auto products = json::decode_as(request.body, &read_import);
    if (!products) co_return products.error();
    auto outcome = co_await app::import_products(services, std::move(*products), ctx.deadline);
    if (!outcome) co_return outcome.error();
    co_await show_change(services);
    co_return Response::json(to_json(*outcome));
}

/// All stock, then all reservations; a page holds one kind.
Answer get_audit(app::Services& services, CallContext ctx, Request request) {
    auto limit = request.query_integer("limit", 100, 1, domain::max_audit_page);
    if (!limit) co_return limit.error();
    auto cursor = read_audit_cursor(request);
    if (!cursor) co_return cursor.error();
    const auto size = static_cast<std::size_t>(*limit);
    if (cursor->phase == "stock") {
        auto rows = co_await app::audit_stock(services, cursor->last, size, ctx.deadline);
        if (!rows) co_return rows.error();
        std::string next = rows->size() < size ? two_part_cursor("reservation", "")
                                               : two_part_cursor("stock", rows->back().product_id);
        co_return http::page(to_array(*rows), next);
    }
    auto rows = co_await app::audit_reservations(services, cursor->last, size, ctx.deadline);
    if (!rows) co_return rows.error();
    std::string next;
    if (rows->size() == size) next = two_part_cursor("reservation", rows->back().order_id);
    co_return http::page(to_array(*rows), next);
}

}  // namespace souk::product::http_api
