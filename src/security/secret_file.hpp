// A secret of 32 random bytes in a file of its own, mode 0600, in base64url: a signing key's seed,
// the key that peers share in development.
#pragma once

#include "souk/error.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace souk::security {

/// The bytes in `file`, made there first when it is absent; processes that start together end with
/// the same. Errors: `unavailable` "secret_file" with the reason in words, without the path
/// (unreadable, others may read it, malformed). A bad file is never replaced.
Result<std::string> load_or_create_secret(const std::filesystem::path& file);

/// In a time that tells nothing but whether the lengths differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace souk::security
