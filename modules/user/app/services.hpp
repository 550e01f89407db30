// What the use cases of this module work with. One object, made by module.cpp.
#pragma once

#include "app/password_hasher.hpp"
#include "domain/account.hpp"
#include "security/tokens.hpp"
#include "souk/cache.hpp"
#include "souk/clock.hpp"
#include "souk/database.hpp"

#include <optional>

namespace souk::user::app {

struct Services {
    Services(
        Database& database,
        Clock& clock,
        RateLimiter& limiter,
        const Settings& settings
    )
        : database(database)
        , clock(clock)
        , limiter(limiter)
        , hasher(settings)
        , lifetimes(settings.duration("access_token_ttl"), settings.duration("refresh_token_ttl")) {
    }
    Database& database;
    Clock& clock;
    RateLimiter& limiter;
    PasswordHasher hasher;
    std::optional<security::SigningKeyPair> signing_key;  // from the module's start on
    const domain::TokenLifetimes lifetimes;
};

}  // namespace souk::user::app
