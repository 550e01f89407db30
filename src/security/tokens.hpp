// Access tokens, which customers hold, and internal tokens, which travel between souk's processes:
// compact JWS with EdDSA (RFC 8037) and one fixed header a token kind. No kept C++ library of
// Debian 12 signs EdDSA without pulling GnuTLS in, and a fixed profile needs none: the verifier
// compares the whole header with the one text that we issue, so algorithm confusion, `jku`, `crit`
// and friends have no door (RFC 8725).
#pragma once

#include "souk/clock.hpp"
#include "souk/context.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace souk::security {

/// The RFC 7638 thumbprint of a raw public key, in base64url.
std::string kid_of(std::string_view public_key);

/// An Ed25519 key pair; the file holds the 32-byte seed in base64, mode 0600.
class SigningKeyPair {
public:
    /// Loads the file, or makes a new key there when it is absent. Errors: `unavailable`
    /// "signing_key" with the path and the reason (unreadable, too open, malformed).
    static Result<SigningKeyPair> load_or_create(const std::filesystem::path& file);
    static SigningKeyPair generate();

    std::string kid() const { return kid_of(public_key_); }
    std::string public_key() const { return public_key_; }
    std::string sign(std::string_view message) const;

private:
    SigningKeyPair() = default;
    static SigningKeyPair from_seed(std::string_view seed);
    std::string public_key_;
    std::string secret_key_;
};

struct AccessClaims {
    AccessClaims() = default;
    Identity identity;  // sub, roles, sid
    Timestamp issued_at{};
    Timestamp expires_at{};
};

inline constexpr std::string_view access_audience = "souk";
inline constexpr std::string_view issuer_name = "souk";
inline constexpr std::size_t max_token_bytes = 4 * 1024;

/// A signed access token (typ "at+jwt", aud "souk", iss "souk").
std::string issue_access_token(const SigningKeyPair& key, const AccessClaims& claims);

class TokenVerifier {
public:
    /// kid → raw public key; replaces all keys.
    void set_keys(std::map<std::string, std::string, std::less<>> keys);
    /// False when no key of ours can have signed `token`: its header names another `kid`, or is not
    /// the one that we issue. Then (only then) newer keys may help.
    bool knows_header_of(std::string_view token) const;
    /// Every fault gives the same `unauthenticated` "invalid_token"; nothing is fetched. Leeway for
    /// clocks: 30 s on nbf and iat, none on exp.
    Result<AccessClaims> verify(std::string_view token, Timestamp now) const;

private:
    // By the whole encoded header of the tokens that the key signs: a header is never parsed.
    std::map<std::string, std::string, std::less<>> keys_by_header_;
};

inline constexpr std::string_view internal_audience = "souk-internal";
inline constexpr std::chrono::seconds internal_token_life{30};

/// What the gateway says of a caller to the other processes (typ "souk-internal+jwt", aud
/// "souk-internal"), with a key that only it holds. `identity` has a subject and a session.
std::string issue_internal_token(
    const SigningKeyPair& key, const Identity& identity, Timestamp now
);

class InternalVerifier {
public:
    /// Raw public keys; two while the gateway's key is being replaced.
    explicit InternalVerifier(const std::vector<std::string>& public_keys);
    /// Every fault gives the same `unauthenticated` "invalid_identity". Leeway as above; a token
    /// made to last over a minute is refused whoever signed it.
    Result<AccessClaims> verify(std::string_view token, Timestamp now) const;

private:
    std::map<std::string, std::string, std::less<>> keys_by_header_;
};

/// Public keys as a file that may be shown to anybody: one in base64url a line, "#" starts a
/// comment. Errors: `unavailable` "public_key" with the path and the reason.
Result<std::vector<std::string>> load_public_keys(const std::filesystem::path& file);
Result<void> write_public_key(const std::filesystem::path& file, std::string_view public_key);

}  // namespace souk::security
