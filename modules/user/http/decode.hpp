// JSON into the use cases' inputs. Each reader is also what documents its body in OpenAPI.
#pragma once

#include "app/import_customers.hpp"
#include "app/login.hpp"
#include "app/put_account.hpp"
#include "app/register_account.hpp"
#include "souk/json.hpp"

namespace souk::user::http_api {

app::Registration read_registration(json::ObjectReader& in);
app::Credentials read_credentials(json::ObjectReader& in);
std::string read_refresh_token(json::ObjectReader& in);
app::CustomerImport read_import(json::ObjectReader& in);
app::AccountInput read_account(json::ObjectReader& in);

}  // namespace souk::user::http_api
