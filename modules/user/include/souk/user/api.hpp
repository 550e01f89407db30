// What other modules may ask of `user`: who somebody is, which keys sign access tokens, and which
// sessions are revoked.
#pragma once

#include "souk/context.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::user {

struct User {
    User() = default;
    std::string id;  // "usr_..."
    std::string email;
    std::string name;
    std::string role;  // "customer", "staff", "admin", "importer"
    Timestamp created_at{};
};

/// A public Ed25519 key (RFC 8037), `public_key` as 32 raw bytes.
struct SigningKey {
    SigningKey(std::string kid, std::string public_key)
        : kid(std::move(kid)), public_key(std::move(public_key)) {}
    std::string kid;
    std::string public_key;
};

/// Session `session` is revoked. `position` rises with every revocation and has no gaps.
struct Revocation {
    Revocation(std::int64_t position, std::string session)
        : position(position), session(std::move(session)) {}
    std::int64_t position;
    std::string session;
};

class Api {
public:
    static constexpr std::string_view module_name = "user";
    virtual ~Api() = default;
    /// The users among `ids` that exist, in no particular order; at most 500 ids.
    virtual Task<Result<std::vector<User>>> get_many(
        CallContext ctx, std::vector<std::string> ids
    ) = 0;
    /// The keys whose signatures are valid now, newest first.
    virtual Task<Result<std::vector<SigningKey>>> signing_keys(CallContext ctx) = 0;
    /// Revocations after `position` of sessions whose access tokens may still live, at most 1,000.
    virtual Task<Result<std::vector<Revocation>>> revocations(
        CallContext ctx, std::int64_t after
    ) = 0;
};

}  // namespace souk::user
