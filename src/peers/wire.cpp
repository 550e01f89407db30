#include "peers/wire.hpp"

#include "http/chars.hpp"
#include "http/dispatch.hpp"
#include "souk/wire.hpp"

#include <fmt/format.h>

#include <random>

namespace souk::peers {
namespace {

constexpr std::size_t traceparent_size = 55;  // 00-<32>-<16>-<2>
constexpr std::size_t parent_begin = 36;

std::uint64_t random_id() {
    thread_local std::mt19937_64 generator(std::random_device{}());
    return generator() | 1U;  // all zeros is no id
}

/// What another module said; other processes' problems are not the Api's.
std::optional<Error> read_problem(const http::Response& response) {
    if (!response.headers.has(field::admitted)) return std::nullopt;
    return wire::error_in(response);
}

}  // namespace

void add_call_fields(
    http::Headers& headers, const CallContext& context, std::string_view peer_key
) {
    if (!context.identity_token.empty()) headers.add(field::identity, context.identity_token);
    if (!peer_key.empty()) headers.add(field::peer_key, peer_key);
    if (!context.request_id.empty()) headers.add("Request-Id", context.request_id);
    const auto trace = child_traceparent(context.traceparent);
    if (!trace.empty()) headers.add("traceparent", trace);
}

std::string child_traceparent(std::string_view traceparent) {
    if (traceparent.size() != traceparent_size) return {};
    std::string child(traceparent);
    http::write_hex(child.data() + parent_begin, random_id());
    return child;
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
