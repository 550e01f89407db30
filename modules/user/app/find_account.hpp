// Somebody's own account.
#pragma once

#include "app/services.hpp"
#include "souk/user/api.hpp"

namespace souk::user::app {

/// Errors: `not_found`, the database's.
Task<Result<User>> find_account(Services& services, std::string id, Deadline deadline);

}  // namespace souk::user::app
