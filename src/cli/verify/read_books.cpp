#include "cli/verify/read_books.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

namespace souk::cli {

namespace {

// What a module knows only grows, so the reader of effects comes after the reader of causes: a paid
// order that was seen has its capture, hold and mail in what is read later.
constexpr std::array<std::string_view, 4> reading_order = {
    "order", "payment", "product", "notification"};

Error bad_audit(std::string_view module, std::string_view reason) {
    return Error(
        ErrorKind::internal, "bad_audit", fmt::format("the audit of {}: {}", module, reason)
    );
}

/// The next cursor; empty after the last page.
Result<std::string> add_page(
    Books& books, std::string_view module, const http::Response& response
) {
    if (response.status != 200)
        return bad_audit(module, fmt::format("status {}: {}", response.status, response.body));
    auto page = json::parse(response.body);
    if (!page) return bad_audit(module, page.error().detail);
    try {
        for (const json::value& row : page->at("data").as_array())
            books.add(row.as_object());
        if (!page->at("has_more").as_bool()) return std::string();
        return std::string(page->at("next_cursor").as_string());
    } catch (const std::exception& fault) {  // a page of another shape, see Books::add
        return bad_audit(module, fault.what());
    }
}

Task<Result<void>> read_module(host::ControlClient& shop, std::string module, Books& books) {
    std::string cursor;
    for (;;) {
        std::string target = fmt::format("/internal/{}/audit?limit=1000", module);
        if (!cursor.empty()) target += "&cursor=" + cursor;  // base64url: nothing to escape
        auto response = co_await shop.send(http::Method::get, std::move(target));
        if (!response) co_return response.error();
        auto next = add_page(books, module, *response);
        if (!next) co_return next.error();
        if (next->empty()) co_return Result<void>();
        cursor = std::move(*next);
    }
}

}  // namespace

Task<Result<Books>> read_books(host::ControlClient& shop) {
    Books books;
    for (std::string_view module : reading_order) {
        auto read = co_await read_module(shop, std::string(module), books);
        if (!read) co_return read.error();
    }
    co_return books;
}

}  // namespace souk::cli
