#include "gateway/cors.hpp"

#include <algorithm>

namespace souk::gateway {

namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_preflight(const http::Request& request) {
    return request.method == http::Method::options &&
           request.headers.has("Access-Control-Request-Method");
}

}  // namespace

Cors::Cors(std::string_view origins) {
    while (!origins.empty()) {
        const auto comma = std::min(origins.find(','), origins.size());
        const auto origin = trimmed(origins.substr(0, comma));
        if (!origin.empty()) origins_.emplace_back(origin);
        origins.remove_prefix(std::min(comma + 1, origins.size()));
    }
}

bool Cors::allows(std::string_view origin) const {
    return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

void Cors::finish(const http::Request& request, http::Headers& response_headers) const {
    if (origins_.empty()) return;
    response_headers.add("Vary", "Origin");  // also on refusals: caches must keep them apart
    const auto origin = request.headers.get("Origin");
    if (!allows(origin)) return;
    response_headers.set("Access-Control-Allow-Origin", origin);
    if (!is_preflight(request)) {
        response_headers.set(
            "Access-Control-Expose-Headers",
            "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Request-Id, "
            "Retry-After"
        );
        return;
    }
    response_headers.set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    response_headers.set(
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Traceparent"
    );
    response_headers.set("Access-Control-Max-Age", "600");
}

}  // namespace souk::gateway
