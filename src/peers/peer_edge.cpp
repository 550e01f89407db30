#include "peers/peer_edge.hpp"

#include "peers/wire.hpp"
#include "security/secret_file.hpp"
#include "security/sodium.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace souk::peers {
namespace {

Error refused(ErrorKind kind) {
    return Error(kind, "peer_refused", "This is not for you.");
}

/// What is left of the caller's time; nothing when the field is absent.
Result<microseconds> read_time_left(const http::Headers& headers) {
    if (!headers.has(field::deadline)) return microseconds::max();
    const auto text = headers.get(field::deadline);
    std::uint32_t left_ms = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), left_ms);
    const bool whole = ec == std::errc() && end == text.data() + text.size();
    if (!whole || headers.count(field::deadline) > 1)
        return invalid("bad_deadline", "a deadline is a number of milliseconds");
    return microseconds(milliseconds(left_ms));
}

constexpr std::string_view operator_name = "operator";

/// "order" and "order.souk.svc" are both a certificate of "order".
bool names(std::string_view certificate_name, std::string_view known) {
    return certificate_name == known ||
           certificate_name.substr(0, certificate_name.find('.')) == known;
}

bool is_internal(const http::Route& route) {
    return route.pattern.starts_with("/internal/");
}

/// What one module asks of another; else an internal route is for the operator's commands.
bool is_api_call(const http::Route& route) {
    constexpr std::string_view prefix = "/internal/";
    const std::string_view rest = std::string_view(route.pattern).substr(prefix.size());
    return rest.substr(std::min(rest.find('/'), rest.size())).starts_with("/api/");
}

Result<void> authorize(const http::Access& access, const Identity& caller) {
    if (access.kind == http::Access::Kind::everyone) return {};
    if (!caller.signed_in())
        return Error(ErrorKind::unauthenticated, "unauthenticated", "Sign in first.");
    if (access.kind == http::Access::Kind::signed_in || caller.may(access.name)) return {};
    return Error(ErrorKind::forbidden, "forbidden", "Your account may not do this.");
}

}  // namespace

PeerCredential PeerCredential::certificate(std::vector<std::string> names) {
    if (names.empty()) throw std::logic_error("no name for a peer's certificate is given");
    PeerCredential out;
    out.names = std::move(names);
    return out;
}

PeerCredential PeerCredential::shared_key(std::string key) {
    if (key.empty()) throw std::logic_error("the peers' shared key is empty");
    PeerCredential out;
    out.key = std::move(key);
    return out;
}

Result<std::string> load_peer_key(const std::filesystem::path& file) {
    auto secret = security::load_or_create_secret(file);
    if (secret) return security::to_base64url(*secret);
    return unavailable("peer_key", file.string() + ": " + secret.error().detail);
}

PeerEdge::PeerEdge(PeerCredential credential, security::InternalVerifier verifier, Clock& clock)
    : credential_(std::move(credential)), callers_(std::move(verifier)), clock_(clock) {}

Task<Result<Identity>> PeerEdge::admit_arrival(
    const http::Route& route,
    const http::Request& request,
    http::Arrival& arrival,
    http::Headers& response_headers
) {
    co_return decide(route, request, arrival, response_headers);
}

Task<Result<Identity>> PeerEdge::admit(
    const http::Route& route, const http::Request& request, http::Headers& response_headers
) {
    http::Arrival nothing;
    co_return decide(route, request, nothing, response_headers);
}

Result<Identity> PeerEdge::decide(
    const http::Route& route,
    const http::Request& request,
    http::Arrival& arrival,
    http::Headers& response_headers
) const {
    auto peer = check_peer(request, arrival);
    if (!peer) return peer.error();
    auto time_left = read_time_left(request.headers);
    if (!time_left) return time_left.error();
    const bool by_operator = is_operator(request, arrival);
    auto caller = identify(route, request, by_operator);
    if (!caller) return caller.error();
    arrival.time_left = *time_left;
    arrival.identity_token = request.headers.get(field::identity);
    // From here on the answer is the route's own: the caller may take it for the Api's.
    response_headers.set(field::admitted, field::admitted_shares);
    if (is_internal(route) && !is_api_call(route) && !by_operator)
        return Error(ErrorKind::forbidden, "operator_only", "Only the operator may do this.");
    auto allowed = authorize(route.access, *caller);
    if (!allowed) return allowed.error();
    return caller;
}

Result<void> PeerEdge::check_peer(const http::Request& request, const http::Arrival& arrival)
    const {
    if (!credential_.key.empty()) {
        const auto offered = request.headers.get(field::peer_key);
        if (security::equal_secrets(offered, credential_.key)) return {};
        return refused(ErrorKind::unauthenticated);
    }
    if (arrival.peer_names == nullptr) return refused(ErrorKind::unauthenticated);
    if (is_known(*arrival.peer_names)) return {};
    return refused(ErrorKind::forbidden);
}

bool PeerEdge::is_known(const std::vector<std::string>& certificate_names) const {
    return std::any_of(certificate_names.begin(), certificate_names.end(), [&](const auto& name) {
        return std::any_of(
            credential_.names.begin(),
            credential_.names.end(),
            [&](const auto& known) { return names(name, known); }
        );
    });
}

/// check_peer() let it in: its key is right, or its certificate is of our authority.
bool PeerEdge::is_operator(const http::Request& request, const http::Arrival& arrival) const {
    if (!credential_.key.empty())
        return request.headers.count(field::as_operator) == 1 &&
               request.headers.get(field::as_operator) == "1";
    const auto& believed = credential_.names;
    const auto& shown = *arrival.peer_names;
    return std::find(believed.begin(), believed.end(), operator_name) != believed.end() &&
           std::any_of(shown.begin(), shown.end(), [](const auto& name) {
               return names(name, operator_name);
           });
}

Result<Identity> PeerEdge::identify(
    const http::Route& route, const http::Request& request, bool by_operator
) const {
    if (!request.headers.has(field::identity)) {
        if (by_operator) return Identity("system", {"admin"}, "");
        if (!is_internal(route)) return Identity();
        return Identity("system", {"peer"}, "");
    }
    if (request.headers.count(field::identity) > 1) return refused(ErrorKind::unauthenticated);
    auto caller = callers_.identify(request.headers.get(field::identity), clock_.now());
    if (!caller) return refused(ErrorKind::unauthenticated);
    return caller;
}

}  // namespace souk::peers
