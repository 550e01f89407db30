#include "security/passwords.hpp"

#include "security/sodium.hpp"

#include <sodium.h>

namespace souk::security {

namespace {
constexpr unsigned long long passes = 2;
constexpr std::size_t memory_bytes = 19 * 1024 * 1024;
}  // namespace

Result<std::string> hash_password(std::string_view password) {
    require_sodium();
    if (password.size() > max_password_bytes)
        return invalid("password_too_long", "A password has at most 128 bytes.");
    std::string hash(crypto_pwhash_STRBYTES, '\0');
    const int failed = crypto_pwhash_str_alg(
        hash.data(),
        password.data(),
        password.size(),
        passes,
        memory_bytes,
        crypto_pwhash_ALG_ARGON2ID13
    );
    if (failed != 0) return unavailable("busy", "There is no memory to hash a password now.");
    hash.resize(hash.find('\0'));
    return hash;
}

bool verify_password(std::string_view hash, std::string_view password) {
    require_sodium();
    if (password.size() > max_password_bytes || hash.size() >= crypto_pwhash_STRBYTES) return false;
    const std::string terminated(hash);  // libsodium reads to a NUL
    return crypto_pwhash_str_verify(terminated.c_str(), password.data(), password.size()) == 0;
}

std::string_view dummy_hash() {
    return "$argon2id$v=19$m=19456,t=2,p=1$c291a3NvdWtzb3Vrc291aw"
           "$c291a3NvdWtzb3Vrc291a3NvdWtzb3Vrc291a3NvdWs";
}

}  // namespace souk::security
