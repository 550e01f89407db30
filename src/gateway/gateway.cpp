#include "gateway/gateway.hpp"

#include "gateway/cors.hpp"
#include "gateway/identity_tokens.hpp"
#include "gateway/rate_limits.hpp"
#include "gateway/trust.hpp"

#include <optional>

namespace souk::gateway {

namespace {

// A revoked session is refused within a second while the feed is up. When it is not, those who can
// do most harm stop at once, and all others soon.
constexpr seconds staleness_for_permissions{1};
constexpr seconds staleness_for_all{60};

/// The credentials of "Bearer <token>"; nothing for another scheme.
std::optional<std::string_view> bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() < scheme.size()) return std::nullopt;
    for (std::size_t i = 0; i < scheme.size(); ++i) {
        const char c = authorization[i];
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (lower != scheme[i]) return std::nullopt;
    }
    return authorization.substr(scheme.size());
}

Error revocations_stale() {
    return unavailable("revocations_stale", "Revoked sessions are not known well enough now.");
}

class PublicGateway final : public Gateway {
public:
    PublicGateway(
        Executor executor,
        user::Api& users,
        RateLimiter& limiter,
        Clock& clock,
        const Settings& settings,
        std::optional<security::SigningKeyPair> identity_key
    )
        : trust_(executor, users, clock, settings.duration("revocation_poll"))
        , limits_(limiter, settings)
        , cors_(settings.text("cors_origins")) {
        if (identity_key) identity_tokens_.emplace(std::move(*identity_key), clock);
    }

    Task<Result<void>> start() override { return trust_.start(); }
    Task<void> stop() override { return trust_.stop(); }
    std::string unready() const override {
        if (trust_.is_informed()) return {};
        return "the user module was not reached yet";
    }
    bool tells_faults() const override { return false; }

    Task<Result<Identity>> admit_arrival(
        const http::Route& route,
        const http::Request& request,
        http::Arrival& arrival,
        http::Headers& response_headers
    ) override {
        auto caller = known_caller(request);
        if (!caller) {
            auto found = co_await authenticate(request);
            caller.emplace(std::move(found));
        }
        if (route.rate_class != http::RateClass::none) {
            // Nobody's, too, when the token is bad: then the address pays.
            const std::string_view subject =
                *caller ? std::string_view((*caller)->subject) : std::string_view();
            const std::string key =
                limits_.key_of(route.rate_class, subject, request.remote_address);
            const RateDecision decision = co_await limits_.take(route.rate_class, key);
            auto counted = limits_.tell(route.rate_class, decision, response_headers);
            if (!counted) co_return counted.error();
        }
        auto allowed = *caller ? authorize(route, **caller) : Result<void>(caller->error());
        if (!allowed) {
            if (allowed.error().kind == ErrorKind::unauthenticated)
                response_headers.set("WWW-Authenticate", challenge(allowed.error()));
            co_return allowed.error();
        }
        if (identity_tokens_ && (*caller)->signed_in())
            arrival.identity_token = identity_tokens_->token_of(**caller);
        co_return std::move(*caller);
    }

    Task<Result<Identity>> admit(
        const http::Route& route, const http::Request& request, http::Headers& response_headers
    ) override {
        http::Arrival nothing;
        co_return co_await admit_arrival(route, request, nothing, response_headers);
    }

    void finish(const http::Request& request, http::Headers& response_headers) override {
        cors_.finish(request, response_headers);
    }

private:
    /// The token's text; empty for credentials of another kind, which no token is.
    static std::string_view token_of(const http::Request& request) {
        if (request.headers.count("Authorization") > 1) return {};
        return bearer_token(request.headers.get("Authorization")).value_or("");
    }

    /// Nobody when there are no credentials, or whose token was verified a moment ago: what needs
    /// no waiting and no signature. Nothing: authenticate() knows.
    std::optional<Result<Identity>> known_caller(const http::Request& request) const {
        if (!request.headers.has("Authorization")) return Identity();
        return trust_.recall(token_of(request));
    }

    /// Bad credentials are refused even where none are needed, so that a client learns of it.
    Task<Result<Identity>> authenticate(const http::Request& request) {
        return trust_.identify(token_of(request));
    }

    Result<void> authorize(const http::Route& route, const Identity& caller) const {
        const bool needs_permission = route.access.kind == http::Access::Kind::permission;
        if (!caller.signed_in()) {
            if (route.access.kind == http::Access::Kind::everyone) return {};
            return Error(ErrorKind::unauthenticated, "unauthenticated", "Sign in first.");
        }
        if (trust_.staleness() > staleness_for_all) return revocations_stale();
        if (!needs_permission) return {};
        if (!caller.may(route.access.name))
            return Error(ErrorKind::forbidden, "forbidden", "Your account may not do this.");
        if (trust_.staleness() > staleness_for_permissions) return revocations_stale();
        return {};
    }

    /// RFC 6750 §3: an error attribute only when there were credentials.
    static std::string challenge(const Error& error) {
        if (error.code != "invalid_token") return R"(Bearer realm="souk")";
        return R"(Bearer realm="souk", error="invalid_token")";
    }

    Trust trust_;
    RateLimits limits_;
    Cors cors_;
    std::optional<IdentityTokens> identity_tokens_;
};

}  // namespace

std::unique_ptr<Gateway> make_gateway(
    Executor executor,
    user::Api& users,
    RateLimiter& limiter,
    Clock& clock,
    const Settings& settings,
    std::optional<security::SigningKeyPair> identity_key
) {
    return std::make_unique<PublicGateway>(
        executor, users, limiter, clock, settings, std::move(identity_key)
    );
}

}  // namespace souk::gateway
