// Somebody makes an account and is signed in.
#pragma once

#include "app/sign_in.hpp"

namespace souk::user::app {

struct Registration {
    Registration() = default;
    std::string email;
    std::string password;
    std::string name;
};

/// Errors: `conflict` "email_taken", `unavailable` "busy", the database's.
Task<Result<SignedIn>> register_account(Services& services, Registration input, Deadline deadline);

}  // namespace souk::user::app
