// Exchanges a refresh token for a new pair of tokens. A token works once; when it comes a second
// time, one of the two who have it stole it, and the whole session ends. There is no grace.
#pragma once

#include "app/sign_in.hpp"

namespace souk::user::app {

/// Errors: `unauthenticated` "invalid_refresh_token" (unknown, expired, revoked, used before), the
/// database's.
Task<Result<SignedIn>> refresh(Services& services, std::string refresh_token, Deadline deadline);

}  // namespace souk::user::app
