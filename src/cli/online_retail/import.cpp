#include "cli/online_retail/import.hpp"

#include "cli/progress.hpp"

#include <fmt/format.h>

namespace souk::cli {

namespace {

constexpr std::size_t batch_size = 500;  // what the import routes take at once
constexpr std::size_t page_size = 100;

json::object product_json(const std::string& code, const RetailProduct& product) {
    json::object out;
    out["sku"] = code;
    out["name"] = product.name.empty() ? code : product.name;
    out["currency"] = "GBP";
    if (product.price) out["unit_amount_decimal"] = product.price->minor_decimal();
    out["stock"] = product.sold;
    return out;
}

json::object customer_json(const std::string& id, const std::string& country) {
    json::object out;
    out["external_ref"] = id;
    out["name"] = "Customer " + id;
    out["email"] =
        fmt::format("customer-{}@online-retail.example", id);  // RFC 2606: never delivered
    out["country"] = country;
    return out;
}

Error unexpected(std::string_view what, const http::Response& response) {
    return Error(
        error_kind_of(response.status),
        "import_refused",
        fmt::format("{}: the shop answered {}: {}", what, response.status, response.body)
    );
}

/// Posts `items` in batches as `{..., member: [...]}` and hands each answer to `take`.
Task<Result<void>> post_in_batches(
    ApiConnection& shop,
    std::string target,
    std::string member,
    json::object envelope,
    json::array items,
    std::string label,
    std::function<void(const json::object&)> take
) {
    Progress progress(std::move(label), static_cast<std::int64_t>(items.size()));
    for (std::size_t at = 0; at < items.size(); at += batch_size) {
        const std::size_t end = std::min(at + batch_size, items.size());
        json::object body = envelope;
        body[member] = json::array(items.begin() + at, items.begin() + end);
        auto reply =
            co_await shop.call(http::Method::post, target, json::serialize(body), std::string());
        if (!reply) co_return reply.error();
        if (reply->response.status != 200) co_return unexpected(target, reply->response);
        auto answer = json::parse(reply->response.body);
        if (!answer) co_return answer.error();
        take(answer->as_object());
        progress.update(static_cast<std::int64_t>(end));
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<std::map<std::string, std::string, std::less<>>>> import_customers(
    ApiConnection& shop, const RetailData& data
) {
    json::array items;
    for (const auto& [id, country] : data.customers)
        items.push_back(customer_json(id, country));
    json::object envelope;
    envelope["source"] = retail_source;
    std::map<std::string, std::string, std::less<>> ids;
    std::function<void(const json::object&)> take = [&ids](const json::object& answer) {
        for (const auto& row : answer.at("data").as_array())
            ids[std::string(row.at("external_ref").as_string())] =
                std::string(row.at("id").as_string());
    };
    auto posted = co_await post_in_batches(
        shop,
        "/api/users/import",
        "customers",
        std::move(envelope),
        std::move(items),
        "customers",
        std::move(take)
    );
    if (!posted) co_return posted.error();
    co_return ids;
}

Task<Result<ImportReport>> import_retail(ApiConnection& shop, const RetailData& data) {
    ImportReport report;
    json::array items;
    for (const auto& [code, product] : data.products) {
        items.push_back(product_json(code, product));
        report.unpublished += product.price ? 0 : 1;
    }
    report.products = static_cast<std::int64_t>(items.size());
    std::function<void(const json::object&)> nothing = [](const json::object&) {};
    auto posted = co_await post_in_batches(
        shop,
        "/api/products/import",
        "items",
        json::object(),
        std::move(items),
        "products",
        std::move(nothing)
    );
    if (!posted) co_return posted.error();
    auto customers = co_await import_customers(shop, data);
    if (!customers) co_return customers.error();
    report.customers = static_cast<std::int64_t>(customers->size());
    co_return report;
}

Task<Result<std::map<std::string, std::string, std::less<>>>> read_catalogue(ApiConnection& shop) {
    std::map<std::string, std::string, std::less<>> ids;
    std::string cursor;
    for (;;) {
        std::string target = fmt::format("/api/products?limit={}", page_size);
        if (!cursor.empty()) target += "&cursor=" + cursor;  // base64url: nothing to escape
        auto reply = co_await shop.call(http::Method::get, target, std::string(), std::string());
        if (!reply) co_return reply.error();
        if (reply->response.status != 200) co_return unexpected("/api/products", reply->response);
        auto page = json::parse(reply->response.body);
        if (!page) co_return page.error();
        for (const auto& row : page->at("data").as_array())
            ids[std::string(row.at("sku").as_string())] = std::string(row.at("id").as_string());
        if (!page->at("has_more").as_bool()) co_return ids;
        cursor = std::string(page->at("next_cursor").as_string());
    }
}

}  // namespace souk::cli
