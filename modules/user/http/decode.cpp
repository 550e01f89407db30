#include "http/decode.hpp"

#include "security/passwords.hpp"

namespace souk::user::http_api {

namespace {

constexpr json::TextRule email{3, 254, "email"};
constexpr json::TextRule name{1, 200};
constexpr json::TextRule new_password{domain::min_password_bytes, security::max_password_bytes};
constexpr json::TextRule old_password{1, security::max_password_bytes};
constexpr json::TextRule reference{1, 100};

store::ImportedCustomer read_customer(json::ObjectReader& in) {
    store::ImportedCustomer customer;
    customer.external_ref = in.text("external_ref", reference);
    customer.name = in.text("name", name);
    customer.email = in.optional_text("email", email).value_or("");
    customer.country = in.optional_text("country", json::TextRule{0, 100}).value_or("");
    return customer;
}

}  // namespace

app::Registration read_registration(json::ObjectReader& in) {
    app::Registration input;
    input.email = in.text("email", email);
    input.password = in.text("password", new_password);
    input.name = in.text("name", name);
    return input;
}

app::Credentials read_credentials(json::ObjectReader& in) {
    app::Credentials input;
    input.email = in.text("email", email);
    input.password = in.text("password", old_password);
    return input;
}

std::string read_refresh_token(json::ObjectReader& in) {
    return in.text("refresh_token", json::TextRule{1, 100});
}

app::CustomerImport read_import(json::ObjectReader& in) {
    app::CustomerImport input;
    input.source = in.text("source", reference);
    in.each("customers", 1, app::max_import, [&](json::ObjectReader& customer) {
        input.customers.push_back(read_customer(customer));
    });
    return input;
}

app::AccountInput read_account(json::ObjectReader& in) {
    app::AccountInput input;
    input.email = in.text("email", email);
    input.name = in.text("name", name);
    input.role = in.one_of("role", {"customer", "staff", "admin", "importer"});
    input.password = in.text("password", new_password);
    input.reset = in.boolean("reset", false);
    return input;
}

}  // namespace souk::user::http_api
