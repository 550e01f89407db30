#include "app/sign_in.hpp"

#include "souk/id.hpp"

namespace souk::user::app {

FreshToken::FreshToken(const Services& services, std::string session)
    : secret("rt_" + random_token(32))
    , row(sha256_hex(secret), std::move(session), services.clock.now() + services.lifetimes.refresh
      ) {}

std::string make_session_id(const Services& services) {
    return make_id("ses", services.clock.now());
}

SignedIn signed_in(const Services& services, User user, FreshToken token) {
    security::AccessClaims claims;
    claims.identity = Identity(user.id, {user.role}, token.row.session);
    claims.issued_at = services.clock.now();
    claims.expires_at = claims.issued_at + services.lifetimes.access;

    SignedIn out;
    out.access_token = security::issue_access_token(*services.signing_key, claims);
    out.refresh_token = std::move(token.secret);
    out.expires_in = std::chrono::duration_cast<seconds>(services.lifetimes.access);
    out.user = std::move(user);
    return out;
}

}  // namespace souk::user::app
