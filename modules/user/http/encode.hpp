// The use cases' results as JSON.
#pragma once

#include "app/audit.hpp"
#include "app/import_customers.hpp"
#include "app/sign_in.hpp"
#include "souk/json.hpp"

namespace souk::user::http_api {

json::value to_json(const User& user);
json::value to_json(const app::SignedIn& signed_in);
json::value to_json(const std::vector<store::ImportedId>& ids);
json::array to_json(const app::Audit& audit);

}  // namespace souk::user::http_api
