// What every way to sign in ends with: a session in the database and a pair of tokens.
#pragma once

#include "app/services.hpp"
#include "souk/user/api.hpp"
#include "store/sessions.hpp"

#include <string>

namespace souk::user::app {

struct SignedIn {
    SignedIn() = default;
    User user;
    std::string access_token;
    std::string refresh_token;
    seconds expires_in{};
};

/// A refresh token that is handed out once and kept as its hash only.
struct FreshToken {
    FreshToken(const Services& services, std::string session);
    std::string secret;
    store::RefreshToken row;
};

std::string make_session_id(const Services& services);

SignedIn signed_in(const Services& services, User user, FreshToken token);

}  // namespace souk::user::app
