// Password hashes: Argon2id (RFC 9106; OWASP's 19 MiB, t=2, p=1) through libsodium, in its encoded
// text form. Both calls burn a core for tens of milliseconds: run them on a BlockingPool.
#pragma once

#include "souk/error.hpp"

#include <string>
#include <string_view>

namespace souk::security {

inline constexpr std::size_t max_password_bytes = 128;

/// Errors: `invalid` "password_too_long" (refused before hashing), `unavailable` "busy" when there
/// is no memory for it.
Result<std::string> hash_password(std::string_view password);
/// Constant time in the password; false for a malformed hash or an overlong password.
bool verify_password(std::string_view hash, std::string_view password);
/// A well-formed hash of the same cost that no password is known for: to do equal work when there
/// is no account. Made by nobody at start, where its tens of milliseconds would be felt.
std::string_view dummy_hash();

}  // namespace souk::security
