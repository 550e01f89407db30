// Argon2id on threads of its own: a hash burns a core for tens of milliseconds, and a crowd of them
// must not hold up anything but other sign-ins.
#pragma once

#include "souk/blocking.hpp"
#include "souk/settings.hpp"

#include <optional>
#include <string>

namespace souk::user::app {

class PasswordHasher {
public:
    explicit PasswordHasher(const Settings& settings);

    /// Errors: `unavailable` "busy" when too many wait.
    Task<Result<std::string>> hash(std::string password);
    /// False when there is no hash, after the same work as for one. Errors: as above.
    Task<Result<bool>> verify(std::optional<std::string> hash, std::string password);

private:
    BlockingPool pool_;
};

}  // namespace souk::user::app
