#include "gateway/forward.hpp"

#include "http/chars.hpp"
#include "peers/wire.hpp"
#include "souk/log.hpp"
#include "souk/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>

namespace souk::gateway {
namespace {

using http::equals_ignoring_case;
using http::Headers;
using http::Method;

constexpr seconds log_pause{1};  // an outage makes thousands of failures
// Where bodies are no longer, they are read before a connection to the module is taken: clients
// that drip theirs must not keep all of them, and others out.
constexpr std::size_t whole_bytes = std::size_t{1} << 20;

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
    return std::any_of(names.begin(), names.end(), [&](auto one) {
        return equals_ignoring_case(name, one);
    });
}

bool begins_with(std::string_view name, std::string_view prefix) {
    return equals_ignoring_case(name.substr(0, prefix.size()), prefix);
}

/// Fields of one connection, in both directions (RFC 9110 §7.6.1), and framing, which is ours.
bool is_hop_by_hop(std::string_view name) {
    constexpr std::array<std::string_view, 10> names = {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length"};
    return is_one_of(name, names);
}

/// Whether a Connection field of `headers` says that `name` is for this connection only.
bool is_named_by_connection(const Headers& headers, std::string_view name) {
    for (const auto& [field, value] : headers) {
        if (!equals_ignoring_case(field, "connection")) continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const auto comma = std::min(rest.find(','), rest.size());
            if (equals_ignoring_case(http::trim(rest.substr(0, comma)), name)) return true;
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
    }
    return false;
}

bool is_internal(std::string_view name) {
    return begins_with(name, "souk-");
}

/// What the gateway says itself, or what is meant for it.
bool is_the_gateways(std::string_view name) {
    constexpr std::array<std::string_view, 7> names = {
        "host", "expect", "authorization", "request-id", "traceparent", "forwarded", "x-real-ip"};
    return is_one_of(name, names) || begins_with(name, "x-forwarded-");
}

/// A client that the listener names by its address, not by its socket.
bool has_address(const http::Request& request) {
    return request.remote_address.find_first_of(".:") != std::string::npos;
}

Headers fields_to_send(const http::Request& request) {
    Headers out;
    const bool named = request.headers.has("Connection");
    for (const auto& [name, value] : request.headers) {
        if (is_hop_by_hop(name) || is_internal(name) || is_the_gateways(name)) continue;
        if (named && is_named_by_connection(request.headers, name)) continue;
        out.add(name, value);
    }
    if (!has_address(request)) return out;
    const auto& address = request.remote_address;
    const bool v6 = address.find(':') != std::string::npos;
    out.add("X-Forwarded-For", address);
    out.add("Forwarded", v6 ? fmt::format("for=\"[{}]\"", address) : "for=" + address);
    return out;
}

Headers fields_to_return(const Headers& theirs) {
    Headers out;
    const bool named = theirs.has("Connection");
    for (const auto& [name, value] : theirs) {
        if (is_hop_by_hop(name) || is_internal(name)) continue;
        if (begins_with(name, "ratelimit")) continue;  // limits are the edge's
        if (named && is_named_by_connection(theirs, name)) continue;
        out.add(name, value);
    }
    return out;
}

/// A key makes a request repeatable only where the module keeps it: `by_key`.
bool is_idempotent(Method method, const Headers& to_send, bool by_key) {
    switch (method) {
        case Method::post:
        case Method::patch:
            return by_key && to_send.has("Idempotency-Key");
        default:
            return true;
    }
}

class Forwarder {
public:
    Forwarder(peers::Pool& pool, Clock& clock, bool by_key)
        : pool_(pool), clock_(clock), by_key_(by_key) {}

    std::shared_ptr<peers::Outgoing> outgoing(const http::Request& request) const {
        auto out = std::make_shared<peers::Outgoing>(
            request.method, request.target, fields_to_send(request)
        );
        out->body = request.body;
        out->stream = request.stream;
        out->repeatable = !request.stream && is_idempotent(out->method, out->headers, by_key_);
        return out;
    }
    peers::Pool& pool() { return pool_; }
    Result<http::Response> told(const Error& error, const CallContext& ctx);
    Result<http::Response> told(http::Response answer) const;

private:
    void log(const Error& error, const CallContext& ctx);

    peers::Pool& pool_;
    Clock& clock_;
    const bool by_key_;
    std::atomic<SteadyTime> logged_at_ = SteadyTime{};
    Logger logger_{"gateway"};
};

/// No answer of the module's. The public may know which part of the shop is away; why, only the
/// log.
Result<http::Response> Forwarder::told(const Error& error, const CallContext& ctx) {
    const bool late = error.kind == ErrorKind::timeout;
    if (!late && error.kind != ErrorKind::unavailable) return error;
    log(error, ctx);
    if (late) {
        const Error said(
            ErrorKind::timeout,
            "timeout",
            fmt::format(
                "The {} module took too long. Ask again to learn what became of it.", pool_.module()
            )
        );
        return http::Response::problem(said, ctx.request_id);
    }
    const Error said = unavailable(
        "module_unavailable",
        fmt::format("The {} module is away at the moment. Try again later.", pool_.module())
    );
    return http::Response::problem(said, ctx.request_id);
}

/// The module's own answer. Its faults become errors again, whose detail the edge keeps from the
/// public as it keeps those of a module in its own process.
Result<http::Response> Forwarder::told(http::Response answer) const {
    if (answer.status >= 500) {
        auto error = wire::error_in(answer);
        if (error) return std::move(*error);
        return Error(error_kind_of(answer.status), "internal", pool_.module() + " failed");
    }
    answer.headers = fields_to_return(answer.headers);
    return answer;
}

void Forwarder::log(const Error& error, const CallContext& ctx) {
    const SteadyTime now = clock_.steady();
    SteadyTime last = logged_at_.load();
    if (last != SteadyTime{} && now - last < log_pause) return;
    if (!logged_at_.compare_exchange_strong(last, now)) return;
    logger_.warn("a module is away", {{"request_id", ctx.request_id}, {"error", error.detail}});
}

/// `ctx` and `request` are the dispatcher's, and stay until the handler has answered.
Task<Result<http::Response>> forward(
    std::shared_ptr<Forwarder> forwarder, const CallContext& ctx, const http::Request& request
) {
    auto answer = co_await forwarder->pool().forward(forwarder->outgoing(request), ctx);
    if (!answer) co_return forwarder->told(answer.error(), ctx);
    co_return forwarder->told(std::move(*answer));
}

}  // namespace

http::Route forwarded(http::Route theirs, peers::Pool& pool, Clock& clock) {
    theirs.streams = theirs.max_body_bytes > whole_bytes;
    auto forwarder = std::make_shared<Forwarder>(pool, clock, theirs.requires_key);
    theirs.handler = [forwarder = std::move(forwarder)](
                         const CallContext& ctx, const http::Request& request
                     ) { return forward(forwarder, ctx, request); };
    return theirs;
}

}  // namespace souk::gateway
