// Identifiers: a prefix that names the kind and 26 characters of Crockford base32 that hold a
// UUIDv7 (RFC 9562 §5.7): "ord_01hf3x...". Text everywhere, sortable by time of creation.
#pragma once

#include "souk/clock.hpp"

#include <string>
#include <string_view>

namespace souk {

/// A new id, e.g. `make_id("ord", clock.now())`. Monotonic within a thread and millisecond.
std::string make_id(std::string_view prefix, Timestamp now);

/// True when `text` is `prefix` + '_' + 26 lower-case base32 characters.
bool is_id(std::string_view text, std::string_view prefix);

/// The hex SHA-256 of `text`: body hashes of idempotency keys, token hashes at rest.
std::string sha256_hex(std::string_view text);

/// `bytes` random bytes from the system's generator, base64url without padding.
std::string random_token(std::size_t bytes);

}  // namespace souk
