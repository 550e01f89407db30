// libsodium, initialized on first use, and its base64url (RFC 4648 §5, without padding).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace souk::security {

/// Call before any other function of libsodium; cheap, from any thread.
void require_sodium();

std::string to_base64url(std::string_view bytes);
/// Nothing unless `text` is canonical: no padding, no other alphabet, no stray bits at the end.
std::optional<std::string> from_base64url(std::string_view text);

/// The 8-bit view that libsodium wants of the same bytes.
inline const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace souk::security
