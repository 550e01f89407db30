#include "security/secret_file.hpp"
#include "security/sodium.hpp"
#include "security/tokens.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <fstream>

namespace souk::security {

namespace {

Error key_error(const std::filesystem::path& file, std::string_view reason) {
    return unavailable("signing_key", fmt::format("signing key {}: {}", file.string(), reason));
}

Error public_key_error(const std::filesystem::path& file, std::string_view reason) {
    return unavailable("public_key", fmt::format("public key {}: {}", file.string(), reason));
}

}  // namespace

std::string kid_of(std::string_view public_key) {
    // RFC 7638: the required members in lexical order, without white space.
    const std::string jwk =
        fmt::format(R"({{"crv":"Ed25519","kty":"OKP","x":"{}"}})", to_base64url(public_key));
    std::string digest(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(bytes_of(digest), bytes_of(std::string_view(jwk)), jwk.size());
    return to_base64url(digest);
}

SigningKeyPair SigningKeyPair::from_seed(std::string_view seed) {
    require_sodium();
    SigningKeyPair pair;
    pair.public_key_.resize(crypto_sign_PUBLICKEYBYTES);
    pair.secret_key_.resize(crypto_sign_SECRETKEYBYTES);
    crypto_sign_seed_keypair(
        bytes_of(pair.public_key_), bytes_of(pair.secret_key_), bytes_of(seed)
    );
    return pair;
}

SigningKeyPair SigningKeyPair::generate() {
    require_sodium();
    std::string seed(crypto_sign_SEEDBYTES, '\0');
    randombytes_buf(seed.data(), seed.size());
    auto pair = from_seed(seed);
    sodium_memzero(seed.data(), seed.size());
    return pair;
}

Result<SigningKeyPair> SigningKeyPair::load_or_create(const std::filesystem::path& file) {
    auto seed = load_or_create_secret(file);
    if (!seed) return key_error(file, seed.error().detail);
    auto pair = from_seed(*seed);
    sodium_memzero(seed->data(), seed->size());
    return pair;
}

std::string SigningKeyPair::sign(std::string_view message) const {
    std::string signature(crypto_sign_BYTES, '\0');
    crypto_sign_detached(
        bytes_of(signature),
        nullptr,
        bytes_of(message),
        message.size(),
        bytes_of(std::string_view(secret_key_))
    );
    return signature;
}

Result<std::vector<std::string>> load_public_keys(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::vector<std::string> keys;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        auto key = from_base64url(line);
        if (!key || key->size() != crypto_sign_PUBLICKEYBYTES)
            return public_key_error(file, "malformed: expected 32 bytes in base64url on each line");
        keys.push_back(std::move(*key));
    }
    if (keys.empty()) return public_key_error(file, "there is no key in it, or it cannot be read");
    return keys;
}

Result<void> write_public_key(const std::filesystem::path& file, std::string_view public_key) {
    std::ofstream out(file, std::ios::trunc);
    out << to_base64url(public_key) << '\n';
    if (!out.flush()) return public_key_error(file, "it cannot be written");
    return {};
}

}  // namespace souk::security
