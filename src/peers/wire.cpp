#include "peers/wire.hpp"

#include "http/chars.hpp"
#include "http/dispatch.hpp"

#include <fmt/format.h>

#include <charconv>
#include <random>

namespace souk::peers {
namespace {

constexpr std::size_t traceparent_size = 55;  // 00-<32>-<16>-<2>
constexpr std::size_t parent_begin = 36;
constexpr std::size_t parent_size = 16;

std::uint64_t random_id() {
    thread_local std::mt19937_64 generator(std::random_device{}());
    return generator() | 1U;  // all zeros is no id
}

bool is_problem(std::string_view content_type) {
    const auto type = http::trim(content_type.substr(0, content_type.find(';')));
    return http::equals_ignoring_case(type, "application/problem+json");
}

std::string text_of(const json::object& object, std::string_view name) {
    const auto* member = object.if_contains(name);
    if (member == nullptr || !member->is_string()) return {};
    return std::string(member->get_string());
}

std::vector<FieldError> fields_of(const json::object& problem) {
    std::vector<FieldError> fields;
    const auto* errors = problem.if_contains("errors");
    if (errors == nullptr || !errors->is_array()) return fields;
    for (const auto& entry : errors->get_array()) {
        if (!entry.is_object()) continue;
        const auto& one = entry.get_object();
        fields.emplace_back(text_of(one, "pointer"), text_of(one, "code"), text_of(one, "detail"));
    }
    return fields;
}

int retry_after(const http::Response& response) {
    const auto text = response.headers.get("Retry-After");
    int wait_s = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), wait_s);
    const bool whole = ec == std::errc() && end == text.data() + text.size();
    return whole && wait_s > 0 ? wait_s : 0;
}

std::optional<Error> read_problem(const http::Response& response) {
    if (!response.headers.has(field::admitted) || !is_problem(response.content_type))
        return std::nullopt;
    auto parsed = json::parse(response.body);
    if (!parsed || !parsed->is_object()) return std::nullopt;
    const auto& problem = parsed->get_object();
    auto code = text_of(problem, "code");
    if (code.empty()) return std::nullopt;
    return Error(error_kind_of(response.status), std::move(code), text_of(problem, "detail"))
        .with_fields(fields_of(problem))
        .with_retry_after(retry_after(response));
}

}  // namespace

http::Headers call_headers(const CallContext& context, std::string_view peer_key) {
    http::Headers headers;
    headers.add("Content-Type", "application/json");
    if (!context.identity_token.empty()) headers.add(field::identity, context.identity_token);
    if (!peer_key.empty()) headers.add(field::peer_key, peer_key);
    if (!context.request_id.empty()) headers.add("Request-Id", context.request_id);
    const auto trace = child_traceparent(context.traceparent);
    if (!trace.empty()) headers.add("traceparent", trace);
    return headers;
}

std::string child_traceparent(std::string_view traceparent) {
    if (traceparent.size() != traceparent_size) return {};
    std::string child(traceparent);
    return child.replace(parent_begin, parent_size, fmt::format("{:016x}", random_id()));
}

std::optional<Result<json::value>> read_answer(const http::Response& response, std::string& why) {
    why = fmt::format("answered {}", response.status);
    if (response.status >= 400) {
        auto error = read_problem(response);
        if (!error) return std::nullopt;
        return Result<json::value>(std::move(*error));
    }
    if (response.status == 204) return Result<json::value>(json::value(nullptr));
    if (response.status / 100 != 2 || !http::is_json(response.content_type)) return std::nullopt;
    auto parsed = json::parse(response.body);
    if (parsed) return parsed;
    why = "answered what is no JSON: " + parsed.error().detail;
    return std::nullopt;
}

}  // namespace souk::peers
