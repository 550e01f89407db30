// The module's routes, readable as the API.
#pragma once

#include "app/read.hpp"
#include "souk/http.hpp"

namespace souk::payment::http_api {

http::Routes routes(app::Reader& reader);
http::Routes internal_routes(app::Reader& reader);

}  // namespace souk::payment::http_api
