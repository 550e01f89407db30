// What `souk seed` and `souk serve --demo` put into a shop.
#pragma once

#include "host/control.hpp"
#include "souk/async.hpp"
#include "souk/error.hpp"

#include <string>

namespace souk::cli {

/// True when there is no product. Errors: those of the client; "seed" for a refusal.
Task<Result<bool>> is_empty(host::ControlClient& shop);

/// The demo's catalogue, through the same import as everybody's; how many products. Repeating it
/// changes nothing but stock that was sold.
Task<Result<std::size_t>> seed_catalogue(host::ControlClient& shop);

struct NewAccount {
    NewAccount(std::string email, std::string name, std::string role)
        : email(std::move(email)), name(std::move(name)), role(std::move(role)) {}
    std::string email;
    std::string name;
    std::string role;
};

/// Makes the account, or gives an existing one a new password; the password, which is kept nowhere.
Task<Result<std::string>> put_account(host::ControlClient& shop, NewAccount account);

}  // namespace souk::cli
