// What the module knows about itself as a whole, for `souk verify`.
#pragma once

#include "app/services.hpp"
#include "store/accounts.hpp"

namespace souk::user::app {

struct Audit {
    Audit() = default;
    std::vector<store::RoleCount> roles;
    std::int64_t revocations = 0;
};

/// Errors: the database's.
Task<Result<Audit>> audit(Services& services, Deadline deadline);

}  // namespace souk::user::app
