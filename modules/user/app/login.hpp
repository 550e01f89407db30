// Signs in with e-mail and password.
#pragma once

#include "app/sign_in.hpp"

namespace souk::user::app {

struct Credentials {
    Credentials() = default;
    std::string email;
    std::string password;
};

/// Errors: `unauthenticated` "bad_credentials", the same and after the same work whether the e-mail
/// is known or not; `unavailable` "busy", the database's.
Task<Result<SignedIn>> login(Services& services, Credentials input, Deadline deadline);

}  // namespace souk::user::app
