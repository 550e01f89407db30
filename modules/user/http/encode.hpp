// The use cases' results as JSON.
#pragma once

#include "app/sign_in.hpp"
#include "souk/json.hpp"
#include "store/accounts.hpp"

namespace souk::user::http_api {

json::value to_json(const User& user);
json::value to_json(const app::SignedIn& signed_in);
json::value to_json(const std::vector<store::ImportedId>& ids);
json::array audit_json(const std::vector<store::RoleCount>& roles, std::int64_t revocations);

}  // namespace souk::user::http_api
