// The routes of `order`, readable as its API.
#pragma once

#include "app/services.hpp"
#include "souk/http.hpp"

namespace souk::order::http_api {

/// `services` must outlive the routes.
http::Routes routes(app::Services& services);
/// What `souk verify` reads.
http::Routes internal_routes(app::Services& services);

}  // namespace souk::order::http_api
