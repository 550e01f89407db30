#include "security/sodium.hpp"
#include "security/tokens.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace souk::security {

namespace {

Error key_error(const std::filesystem::path& file, std::string_view reason) {
    return unavailable("signing_key", fmt::format("signing key {}: {}", file.string(), reason));
}

class File {
public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int get() const { return descriptor_; }
    bool is_open() const { return descriptor_ >= 0; }

private:
    int descriptor_;
};

/// The seed in `file`. Errors: `unavailable` "signing_key".
Result<std::string> read_seed(const std::filesystem::path& path) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return key_error(path, std::strerror(errno));
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) return key_error(path, std::strerror(errno));
    if ((about.st_mode & 077) != 0)
        return key_error(path, "others may read it; run chmod 600 on it and replace the key");

    std::string text(128, '\0');  // more than a good file has
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size < 0) return key_error(path, std::strerror(errno));
    text.resize(static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.pop_back();
    auto seed = from_base64url(text);
    sodium_memzero(text.data(), text.size());
    if (!seed || seed->size() != crypto_sign_SEEDBYTES)
        return key_error(path, "malformed: expected 32 bytes in base64url");
    return std::move(*seed);
}

/// Makes `path` hold `seed`, whole or not at all; leaves a key that is there already in its place.
Result<void> write_seed(const std::filesystem::path& path, std::string_view seed) {
    // A name of nobody else's: containers that share the folder often share a process id, too.
    std::string temporary = path.string() + ".XXXXXX";
    const File file(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (!file.is_open()) return key_error(path, std::strerror(errno));
    std::string text = to_base64url(seed) + "\n";
    const bool written =
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(file.get()) == 0;
    sodium_memzero(text.data(), text.size());
    // link(), unlike rename(), loses to a process that was faster.
    const bool placed =
        written && (::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST);
    const int reason = errno;
    ::unlink(temporary.c_str());
    if (!placed) return key_error(path, std::strerror(reason));
    return {};
}

}  // namespace

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
    require_sodium();
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
        std::string fresh(crypto_sign_SEEDBYTES, '\0');
        randombytes_buf(fresh.data(), fresh.size());
        auto written = write_seed(file, fresh);
        sodium_memzero(fresh.data(), fresh.size());
        if (!written) return written.error();
    }
    auto seed = read_seed(file);
    if (!seed) return seed.error();
    auto pair = from_seed(*seed);
    sodium_memzero(seed->data(), seed->size());
    return pair;
}

std::string SigningKeyPair::kid() const {
    // RFC 7638: the required members in lexical order, without white space.
    const std::string jwk =
        fmt::format(R"({{"crv":"Ed25519","kty":"OKP","x":"{}"}})", to_base64url(public_key_));
    std::string digest(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(bytes_of(digest), bytes_of(std::string_view(jwk)), jwk.size());
    return to_base64url(digest);
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

}  // namespace souk::security
