// The parts of souk/http.hpp that are values: headers, parameters, answers, cursors.
#include "souk/http.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>

namespace souk::http {
namespace {

constexpr std::size_t max_cursor_bytes = 2048;
constexpr std::size_t usual_bytes = 224;  // of the fields of a request, or of an answer
constexpr int base64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return x == y || lower(x) == lower(y);
    });
}

/// -1 for what is no hex digit.
int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool is_encoded(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return c == '%' || c == '+'; });
}

/// A form-encoded component. A '%' without two hex digits stands for itself.
std::string decode_component(std::string_view text) {
    if (!is_encoded(text)) return std::string(text);
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        bool triplet = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                       hex_digit(text[i + 2]) >= 0;
        if (triplet) {
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

std::string_view title_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::invalid:
            return "Bad Request";
        case ErrorKind::unauthenticated:
            return "Unauthorized";
        case ErrorKind::forbidden:
            return "Forbidden";
        case ErrorKind::not_found:
            return "Not Found";
        case ErrorKind::method_not_allowed:
            return "Method Not Allowed";
        case ErrorKind::request_timeout:
            return "Request Timeout";
        case ErrorKind::conflict:
            return "Conflict";
        case ErrorKind::precondition_failed:
            return "Precondition Failed";
        case ErrorKind::too_large:
            return "Content Too Large";
        case ErrorKind::uri_too_long:
            return "URI Too Long";
        case ErrorKind::unsupported_media:
            return "Unsupported Media Type";
        case ErrorKind::unprocessable:
            return "Unprocessable Content";
        case ErrorKind::precondition_required:
            return "Precondition Required";
        case ErrorKind::rate_limited:
            return "Too Many Requests";
        case ErrorKind::header_too_large:
            return "Request Header Fields Too Large";
        case ErrorKind::internal:
            return "Internal Server Error";
        case ErrorKind::unavailable:
            return "Service Unavailable";
        case ErrorKind::timeout:
            return "Gateway Timeout";
    }
    return "Internal Server Error";
}

souk::json::array to_json(const std::vector<FieldError>& fields) {
    souk::json::array list;
    list.reserve(fields.size());
    for (const FieldError& field : fields) {
        souk::json::object entry;
        entry["pointer"] = field.pointer;
        entry["code"] = field.code;
        entry["detail"] = field.detail;
        list.emplace_back(std::move(entry));
    }
    return list;
}

Error bad_cursor() {
    return invalid("bad_cursor", "the cursor was not made by this API");
}

}  // namespace

std::string_view to_string(Method method) {
    switch (method) {
        case Method::get:
            return "GET";
        case Method::head:
            return "HEAD";
        case Method::post:
            return "POST";
        case Method::put:
            return "PUT";
        case Method::patch:
            return "PATCH";
        case Method::delete_:
            return "DELETE";
        case Method::options:
            return "OPTIONS";
    }
    return "GET";
}

void Headers::add(std::string_view name, std::string_view value) {
    const Place place{
        static_cast<std::uint32_t>(text_.size()),
        static_cast<std::uint32_t>(name.size()),
        static_cast<std::uint32_t>(value.size())};
    const std::size_t size = text_.size() + name.size() + value.size();
    if (size <= text_.capacity()) {
        text_.append(name).append(value);
    } else {  // `name` or `value` may be of the old text
        std::string grown;
        grown.reserve(std::max(size, 2 * text_.capacity() + usual_bytes));
        grown.append(text_).append(name).append(value);
        text_ = std::move(grown);
    }
    places_.push_back(place);
}

void Headers::set(std::string_view name, std::string_view value) {
    auto gone = std::remove_if(places_.begin(), places_.end(), [&](const Place& place) {
        return same_name(at(place).first, name);
    });
    places_.erase(gone, places_.end());
    add(name, value);
}

std::string_view Headers::get(std::string_view name) const {
    for (const auto& [key, value] : *this)
        if (same_name(key, name)) return value;
    return {};
}

bool Headers::has(std::string_view name) const {
    return std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
        return same_name(at(place).first, name);
    });
}

std::size_t Headers::count(std::string_view name) const {
    auto n = std::count_if(places_.begin(), places_.end(), [&](const Place& place) {
        return same_name(at(place).first, name);
    });
    return static_cast<std::size_t>(n);
}

void Headers::clear() {
    text_.clear();
    places_.clear();
}

std::string_view Request::param(std::string_view name) const {
    for (const auto& [key, value] : params)
        if (key == name) return value;
    return {};
}

std::optional<std::string> Request::query_param(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
        auto equals = pair.find('=');
        const auto key = pair.substr(0, equals);
        if (is_encoded(key) ? decode_component(key) != name : key != name) continue;
        if (equals == std::string_view::npos) return std::string();
        return decode_component(pair.substr(equals + 1));
    }
    return std::nullopt;
}

Result<std::int64_t> Request::query_integer(
    std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max
) const {
    std::optional<std::string> text = query_param(name);
    if (!text) return fallback;
    std::int64_t value = 0;
    const char* end = text->data() + text->size();
    auto [rest, error] = std::from_chars(text->data(), end, value);
    if (error == std::errc{} && rest == end && value >= min && value <= max) return value;
    return invalid(
        "bad_query_parameter", fmt::format("{} must be an integer from {} to {}", name, min, max)
    );
}

Response Response::json(const souk::json::value& v, int status) {
    return Response(status, "application/json", souk::json::serialize(v));
}

Response Response::problem(const Error& error, std::string_view request_id) {
    int status = http_status(error.kind);
    souk::json::object body;
    body["type"] = "urn:souk:problem:" + error.code;
    body["title"] = title_of(error.kind);
    body["status"] = status;
    body["detail"] = error.detail;
    body["code"] = error.code;
    body["request_id"] = request_id;
    body["retryable"] = is_retryable(error);
    if (!error.fields.empty()) body["errors"] = to_json(error.fields);
    Response response(status, "application/problem+json", souk::json::serialize(body));
    // Whoever is sent away with 503 learns when to come again, also where nobody thought of it.
    const int wait_s = error.retry_after_s > 0 ? error.retry_after_s : status == 503 ? 1 : 0;
    if (wait_s > 0) response.headers.set("Retry-After", std::to_string(wait_s));
    return response;
}

std::string encode_cursor(const std::vector<std::string>& fields) {
    souk::json::array list(fields.begin(), fields.end());
    std::string text = souk::json::serialize(list);
    std::string cursor(sodium_base64_encoded_len(text.size(), base64), '\0');
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    sodium_bin2base64(cursor.data(), cursor.size(), bytes, text.size(), base64);
    cursor.pop_back();
    return cursor;
}

Result<std::vector<std::string>> decode_cursor(std::string_view cursor, std::size_t fields) {
    if (cursor.size() > max_cursor_bytes) return bad_cursor();
    std::string text(cursor.size(), '\0');
    std::size_t size = 0;
    int failed = sodium_base642bin(
        reinterpret_cast<unsigned char*>(text.data()),
        text.size(),
        cursor.data(),
        cursor.size(),
        nullptr,
        &size,
        nullptr,
        base64
    );
    if (failed != 0) return bad_cursor();
    text.resize(size);
    Result<souk::json::value> parsed = souk::json::parse(text);
    if (!parsed || !parsed->is_array() || parsed->get_array().size() != fields) return bad_cursor();
    std::vector<std::string> values;
    values.reserve(fields);
    for (const auto& field : parsed->get_array()) {
        if (!field.is_string()) return bad_cursor();
        values.emplace_back(field.get_string());
    }
    return values;
}

Response page(souk::json::array data, const std::string& next_cursor) {
    souk::json::object body;
    body["data"] = std::move(data);
    body["has_more"] = !next_cursor.empty();
    souk::json::value& next = body["next_cursor"];
    if (!next_cursor.empty()) next = next_cursor;
    return Response::json(body);
}

}  // namespace souk::http
