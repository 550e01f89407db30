#include "security/secret_file.hpp"

#include "security/sodium.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace souk::security {

namespace {

constexpr std::size_t secret_bytes = 32;

Error secret_error(std::string reason) {
    return unavailable("secret_file", std::move(reason));
}

Error system_error(int number) {
    return secret_error(std::strerror(number));
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

Result<std::string> read_secret(const std::filesystem::path& path) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return system_error(errno);
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) return system_error(errno);
    if ((about.st_mode & 077) != 0)
        return secret_error("others may read it; run chmod 600 on it and replace the key");

    std::string text(128, '\0');  // more than a good file has
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size < 0) return system_error(errno);
    text.resize(static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.pop_back();
    auto secret = from_base64url(text);
    sodium_memzero(text.data(), text.size());
    if (!secret || secret->size() != secret_bytes)
        return secret_error("malformed: expected 32 bytes in base64url");
    return std::move(*secret);
}

/// Makes `path` hold `secret`, whole or not at all; leaves a key that is there already in its
/// place.
Result<void> write_secret(const std::filesystem::path& path, std::string_view secret) {
    // A name of nobody else's: containers that share the folder often share a process id, too.
    std::string temporary = path.string() + ".XXXXXX";
    const File file(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (!file.is_open()) return system_error(errno);
    std::string text = to_base64url(secret) + "\n";
    const bool written =
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(file.get()) == 0;
    sodium_memzero(text.data(), text.size());
    // link(), unlike rename(), loses to a process that was faster.
    const bool placed =
        written && (::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST);
    const int reason = errno;
    ::unlink(temporary.c_str());
    if (!placed) return system_error(reason);
    return {};
}

}  // namespace

Result<std::string> load_or_create_secret(const std::filesystem::path& file) {
    require_sodium();
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
        std::string fresh(secret_bytes, '\0');
        randombytes_buf(fresh.data(), fresh.size());
        auto written = write_secret(file, fresh);
        sodium_memzero(fresh.data(), fresh.size());
        if (!written) return written.error();
    }
    return read_secret(file);
}

bool equal_secrets(std::string_view a, std::string_view b) {
    require_sodium();
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace souk::security
