// The routes of `user`, readable as its API.
#pragma once

#include "app/services.hpp"
#include "souk/http.hpp"

namespace souk::user::http_api {

/// `services` must outlive the routes.
http::Routes routes(app::Services& services);
/// For the operator's commands: accounts of any role, and what `souk verify` reads.
http::Routes internal_routes(app::Services& services);

}  // namespace souk::user::http_api
