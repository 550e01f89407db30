// The module has no public routes: customers get mails.
#pragma once

#include "souk/database.hpp"
#include "souk/http.hpp"

namespace souk::notification::http_api {

http::Routes internal_routes(Database& database);

}  // namespace souk::notification::http_api
