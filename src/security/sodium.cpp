#include "security/sodium.hpp"

#include <sodium.h>

#include <stdexcept>

namespace souk::security {

void require_sodium() {
    static const int ready = sodium_init();
    if (ready < 0) throw std::runtime_error("libsodium finds no source of randomness");
}

std::string to_base64url(std::string_view bytes) {
    require_sodium();
    constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string text(sodium_base64_ENCODED_LEN(bytes.size(), variant), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes_of(bytes), bytes.size(), variant);
    text.pop_back();  // the NUL that libsodium writes
    return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
    require_sodium();
    std::string bytes(text.size() / 4 * 3 + 3, '\0');
    std::size_t size = 0;
    // Without an `end` pointer libsodium refuses whatever it did not read to the last character.
    const int failed = sodium_base642bin(
        bytes_of(bytes),
        bytes.size(),
        text.data(),
        text.size(),
        nullptr,
        &size,
        nullptr,
        sodium_base64_VARIANT_URLSAFE_NO_PADDING
    );
    if (failed != 0) return std::nullopt;
    bytes.resize(size);
    return bytes;
}

}  // namespace souk::security
