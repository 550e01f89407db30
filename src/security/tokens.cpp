#include "security/tokens.hpp"

#include "security/sodium.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <optional>

namespace souk::security {

namespace {

constexpr std::chrono::seconds leeway{30};

std::string encoded_header(std::string_view kid) {
    return to_base64url(fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}})", kid));
}

std::int64_t to_seconds(Timestamp t) {
    return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

/// Three non-empty parts and no more.
struct Parts {
    std::string_view header;
    std::string_view payload;
    std::string_view signature;
    std::string_view signed_part;
};

std::optional<Parts> split(std::string_view token) {
    if (token.size() > max_token_bytes) return std::nullopt;
    const auto first = token.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    const auto second = token.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    Parts parts;
    parts.header = token.substr(0, first);
    parts.payload = token.substr(first + 1, second - first - 1);
    parts.signature = token.substr(second + 1);  // a further dot fails as base64url
    parts.signed_part = token.substr(0, second);
    return parts;
}

std::optional<std::string> text_claim(const json::object& claims, std::string_view name) {
    const auto* claim = claims.if_contains(name);
    if (claim == nullptr || !claim->is_string() || claim->get_string().empty()) return std::nullopt;
    return std::string(claim->get_string());
}

std::optional<Timestamp> time_claim(const json::object& claims, std::string_view name) {
    constexpr std::int64_t latest = 253'402'300'799;  // the year 9999
    const auto* claim = claims.if_contains(name);
    if (claim == nullptr || !claim->is_int64()) return std::nullopt;
    const std::int64_t value = claim->get_int64();
    if (value < 0 || value > latest) return std::nullopt;
    return Timestamp(std::chrono::seconds(value));
}

std::optional<std::vector<std::string>> roles_claim(const json::object& claims) {
    const auto* claim = claims.if_contains("roles");
    if (claim == nullptr || !claim->is_array()) return std::nullopt;
    std::vector<std::string> roles;
    for (const auto& role : claim->get_array()) {
        if (!role.is_string()) return std::nullopt;
        roles.emplace_back(role.get_string());
    }
    return roles;
}

/// The claims of a payload whose signature is good, when they are whole and hold at `now`.
std::optional<AccessClaims> read_claims(std::string_view payload, Timestamp now) {
    auto parsed = json::parse(payload);
    if (!parsed || !parsed->is_object()) return std::nullopt;
    const auto& claims = parsed->get_object();
    if (text_claim(claims, "iss") != issuer_name) return std::nullopt;
    if (text_claim(claims, "aud") != access_audience) return std::nullopt;

    auto subject = text_claim(claims, "sub");
    auto session = text_claim(claims, "sid");
    auto roles = roles_claim(claims);
    const auto issued = time_claim(claims, "iat");
    const auto expires = time_claim(claims, "exp");
    if (!subject || !session || !roles || !issued || !expires) return std::nullopt;
    if (now >= *expires || *issued > now + leeway) return std::nullopt;
    if (claims.contains("nbf")) {
        const auto not_before = time_claim(claims, "nbf");
        if (!not_before || *not_before > now + leeway) return std::nullopt;
    }

    AccessClaims out;
    out.identity = Identity(std::move(*subject), std::move(*roles), std::move(*session));
    out.issued_at = *issued;
    out.expires_at = *expires;
    return out;
}

bool is_signed_by(const std::string& public_key, const Parts& parts) {
    const auto signature = from_base64url(parts.signature);
    if (!signature || signature->size() != crypto_sign_BYTES) return false;
    return crypto_sign_verify_detached(
               bytes_of(std::string_view(*signature)),
               bytes_of(parts.signed_part),
               parts.signed_part.size(),
               bytes_of(std::string_view(public_key))
           ) == 0;
}

}  // namespace

std::string issue_access_token(const SigningKeyPair& key, const AccessClaims& claims) {
    json::array roles;
    for (const auto& role : claims.identity.roles)
        roles.emplace_back(role);
    json::object payload;
    payload["iss"] = issuer_name;
    payload["aud"] = access_audience;
    payload["sub"] = claims.identity.subject;
    payload["sid"] = claims.identity.session;
    payload["roles"] = std::move(roles);
    payload["iat"] = to_seconds(claims.issued_at);
    payload["exp"] = to_seconds(claims.expires_at);
    std::string token =
        encoded_header(key.kid()) + "." + to_base64url(json::serialize(std::move(payload)));
    const std::string signature = key.sign(token);
    return token + "." + to_base64url(signature);
}

void TokenVerifier::set_keys(std::map<std::string, std::string, std::less<>> keys) {
    keys_by_header_.clear();
    for (auto& [kid, public_key] : keys)
        if (public_key.size() == crypto_sign_PUBLICKEYBYTES)
            keys_by_header_.emplace(encoded_header(kid), std::move(public_key));
}

bool TokenVerifier::knows_header_of(std::string_view token) const {
    return keys_by_header_.contains(token.substr(0, token.find('.')));
}

Result<AccessClaims> TokenVerifier::verify(std::string_view token, Timestamp now) const {
    const Error refused(
        ErrorKind::unauthenticated, "invalid_token", "The access token is missing or not valid."
    );
    const auto parts = split(token);
    if (!parts) return refused;
    const auto key = keys_by_header_.find(parts->header);
    if (key == keys_by_header_.end() || !is_signed_by(key->second, *parts)) return refused;
    const auto payload = from_base64url(parts->payload);
    if (!payload) return refused;
    auto claims = read_claims(*payload, now);
    if (!claims) return refused;
    return std::move(*claims);
}

}  // namespace souk::security
