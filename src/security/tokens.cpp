#include "security/tokens.hpp"

#include "security/sodium.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <optional>

namespace souk::security {

namespace {

constexpr std::chrono::seconds leeway{30};

/// What tells one kind of token from another. Neither passes for the other: by `typ` (the header is
/// compared as a whole) and by `aud`.
struct Profile {
    std::string_view type;
    std::string_view audience;
    std::chrono::seconds longest_life;
};

constexpr Profile access_profile{"at+jwt", access_audience, std::chrono::years(10'000)};
// A verifier of its own bound, so that not even the gateway can make one that lasts.
constexpr Profile internal_profile{"souk-internal+jwt", internal_audience, std::chrono::minutes(1)};

std::string encoded_header(const Profile& profile, std::string_view kid) {
    return to_base64url(fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"{}"}})", kid, profile.type)
    );
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
std::optional<AccessClaims> read_claims(
    const Profile& profile, std::string_view payload, Timestamp now
) {
    auto parsed = json::parse(payload);
    if (!parsed || !parsed->is_object()) return std::nullopt;
    const auto& claims = parsed->get_object();
    if (text_claim(claims, "iss") != issuer_name) return std::nullopt;
    if (text_claim(claims, "aud") != profile.audience) return std::nullopt;

    auto subject = text_claim(claims, "sub");
    auto session = text_claim(claims, "sid");
    auto roles = roles_claim(claims);
    const auto issued = time_claim(claims, "iat");
    const auto expires = time_claim(claims, "exp");
    if (!subject || !session || !roles || !issued || !expires) return std::nullopt;
    if (now >= *expires || *issued > now + leeway) return std::nullopt;
    if (*expires - *issued > profile.longest_life) return std::nullopt;
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

std::string issue(const Profile& profile, const SigningKeyPair& key, const AccessClaims& claims) {
    json::array roles;
    for (const auto& role : claims.identity.roles)
        roles.emplace_back(role);
    json::object payload;
    payload["iss"] = issuer_name;
    payload["aud"] = profile.audience;
    payload["sub"] = claims.identity.subject;
    payload["sid"] = claims.identity.session;
    payload["roles"] = std::move(roles);
    payload["iat"] = to_seconds(claims.issued_at);
    payload["exp"] = to_seconds(claims.expires_at);
    std::string token = encoded_header(profile, key.kid()) + "." +
                        to_base64url(json::serialize(std::move(payload)));
    const std::string signature = key.sign(token);
    return token + "." + to_base64url(signature);
}

using Keys = std::map<std::string, std::string, std::less<>>;

Keys by_header(const Profile& profile, Keys keys) {
    Keys out;
    for (auto& [kid, public_key] : keys)
        if (public_key.size() == crypto_sign_PUBLICKEYBYTES)
            out.emplace(encoded_header(profile, kid), std::move(public_key));
    return out;
}

std::optional<AccessClaims> verified(
    const Profile& profile, const Keys& keys_by_header, std::string_view token, Timestamp now
) {
    const auto parts = split(token);
    if (!parts) return std::nullopt;
    const auto key = keys_by_header.find(parts->header);
    if (key == keys_by_header.end() || !is_signed_by(key->second, *parts)) return std::nullopt;
    const auto payload = from_base64url(parts->payload);
    if (!payload) return std::nullopt;
    return read_claims(profile, *payload, now);
}

}  // namespace

std::string issue_access_token(const SigningKeyPair& key, const AccessClaims& claims) {
    return issue(access_profile, key, claims);
}

void TokenVerifier::set_keys(Keys keys) {
    keys_by_header_ = by_header(access_profile, std::move(keys));
}

bool TokenVerifier::knows_header_of(std::string_view token) const {
    return keys_by_header_.contains(token.substr(0, token.find('.')));
}

Result<AccessClaims> TokenVerifier::verify(std::string_view token, Timestamp now) const {
    auto claims = verified(access_profile, keys_by_header_, token, now);
    if (claims) return std::move(*claims);
    return Error(
        ErrorKind::unauthenticated, "invalid_token", "The access token is missing or not valid."
    );
}

std::string issue_internal_token(
    const SigningKeyPair& key, const Identity& identity, Timestamp now
) {
    AccessClaims claims;
    claims.identity = identity;
    claims.issued_at = now;
    claims.expires_at = now + internal_token_life;
    return issue(internal_profile, key, claims);
}

InternalVerifier::InternalVerifier(const std::vector<std::string>& public_keys) {
    Keys by_kid;
    for (const auto& key : public_keys)
        by_kid.emplace(kid_of(key), key);
    keys_by_header_ = by_header(internal_profile, std::move(by_kid));
}

Result<AccessClaims> InternalVerifier::verify(std::string_view token, Timestamp now) const {
    auto claims = verified(internal_profile, keys_by_header_, token, now);
    if (claims) return std::move(*claims);
    return Error(ErrorKind::unauthenticated, "invalid_identity", "The caller is not known.");
}

}  // namespace souk::security
