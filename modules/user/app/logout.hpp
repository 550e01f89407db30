// Ends the session of the caller.
#pragma once

#include "app/services.hpp"

#include <string>

namespace souk::user::app {

/// Success, too, when it has ended before. Errors: the database's.
Task<Result<void>> logout(Services& services, std::string session, Deadline deadline);

}  // namespace souk::user::app
