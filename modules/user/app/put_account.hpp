// The operator makes an account of any role, or sets the role and password of one that exists.
#pragma once

#include "app/services.hpp"
#include "souk/user/api.hpp"

namespace souk::user::app {

struct AccountInput {
    AccountInput() = default;
    std::string email;
    std::string name;
    std::string role;
    std::string password;
    bool reset = false;  // an account that exists is changed and its sessions end
};

/// Errors: `conflict` "email_taken" without `reset`, `unavailable` "busy", the database's.
Task<Result<User>> put_account(Services& services, AccountInput input, Deadline deadline);

}  // namespace souk::user::app
