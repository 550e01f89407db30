#include "http/serialize.hpp"

#include "http/chars.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace souk::http {
namespace {

std::string_view reason(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 422:
            return "Unprocessable Content";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Status";
    }
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    const auto start = out.size();
    out += value;
    out += "\r\n";
    // A value that a handler took from input must not start a line of its own.
    if (!has_control(value)) return;
    for (auto i = start; i < out.size() - 2; ++i)
        if (is_control(out[i]) && out[i] != '\t') out[i] = ' ';
}

void append_number(std::string& out, std::uint64_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
}

bool is_ours(std::string_view name) {
    constexpr std::array<std::string_view, 6> ours = {
        "content-length",
        "transfer-encoding",
        "connection",
        "date",
        "content-type",
        "request-id",
    };
    return std::any_of(ours.begin(), ours.end(), [&](auto own) {
        return equals_ignoring_case(name, own);
    });
}

void append_framing(std::string& out, const Response& response, const WireOptions& options) {
    std::optional<std::uint64_t> length = response.body.size();
    if (response.stream) length = response.stream->length();
    if (length) {
        out += "Content-Length: ";
        append_number(out, *length);
        out += "\r\n";
    } else if (options.chunked && !options.head_only) {
        out += "Transfer-Encoding: chunked\r\n";
    }
}

void append_default_policy(std::string& out, const Headers& headers) {
    if (!headers.has("X-Content-Type-Options")) out += "X-Content-Type-Options: nosniff\r\n";
    if (headers.has("Cache-Control")) return;
    // With an ETag the client may keep its copy, and must ask each time whether it still holds.
    if (headers.has("ETag"))
        out += "Cache-Control: private, no-cache\r\n";
    else
        out += "Cache-Control: no-store\r\n";
}

}  // namespace

std::string_view DateCache::at(Timestamp now) {
    const auto second = std::chrono::floor<seconds>(now);
    if (second.time_since_epoch().count() == second_) return text_;
    second_ = second.time_since_epoch().count();
    constexpr std::array<std::string_view, 7> days = {
        "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<std::string_view, 12> months = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(second - day);
    text_ = fmt::format(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        days[std::chrono::weekday(day).c_encoding()],
        static_cast<unsigned>(date.day()),
        months[static_cast<unsigned>(date.month()) - 1],
        static_cast<int>(date.year()),
        time.hours().count(),
        time.minutes().count(),
        time.seconds().count()
    );
    return text_;
}

bool write_response(std::string& out, const Response& response, const WireOptions& options) {
    out.reserve(out.size() + response.body.size() + 512);
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::uint64_t>(response.status));
    out += ' ';
    out += reason(response.status);
    out += "\r\nDate: ";
    out += options.date;
    out += "\r\n";
    const bool bodiless = response.status == 204 || response.status == 304;
    if (!bodiless) append_framing(out, response, options);
    if (!response.content_type.empty()) append_field(out, "Content-Type", response.content_type);
    append_field(out, "Request-Id", options.request_id);
    append_default_policy(out, response.headers);
    for (const auto& [name, value] : response.headers)
        if (is_token(name) && !is_ours(name)) append_field(out, name, value);
    if (options.close) out += "Connection: close\r\n";
    out += "\r\n";
    const bool has_body = !bodiless && !options.head_only;
    if (has_body) out += response.body;
    return has_body && response.stream != nullptr;
}

}  // namespace souk::http
