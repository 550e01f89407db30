#include "app/outbox_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace souk::notification::app {

namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    bool is_open() const { return fd_ >= 0; }
    int get() const { return fd_; }

private:
    int fd_;
};

Error failed(std::string_view what, std::string_view file) {
    return unavailable(
        "mail_outbox", fmt::format("cannot {} {}: {}", what, file, std::strerror(errno))
    );
}

/// Of attempts that died before they renamed theirs, as many are removed when the mail is out.
constexpr std::int64_t most_left_behind = 8;

std::string temporary(const OutgoingMail& mail, std::int64_t attempt) {
    return fmt::format(".{}.{}.tmp", mail.id, attempt);
}
std::string temporary(const OutgoingMail& mail) {
    return temporary(mail, mail.attempt);
}

void remove_left_behind(int folder, const OutgoingMail& mail) {
    const auto first = std::max<std::int64_t>(1, mail.attempt - most_left_behind);
    for (auto attempt = first; attempt < mail.attempt; ++attempt)
        ::unlinkat(folder, temporary(mail, attempt).c_str(), 0);
}

Result<void> write_file(int folder, const std::string& name, const std::string& text) {
    Descriptor file(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) return failed("create", name);
    for (std::size_t written = 0; written < text.size();) {
        auto n = ::write(file.get(), text.data() + written, text.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed("write", name);
        written += static_cast<std::size_t>(n);
    }
    return Result<void>();
}

Result<void> write_all(const std::filesystem::path& path, const std::vector<OutgoingMail>& mails) {
    std::error_code ignored;  // openat tells
    std::filesystem::create_directories(path, ignored);
    Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.is_open()) return failed("open", path.string());
    for (const auto& mail : mails) {
        auto written = write_file(folder.get(), temporary(mail), mail.message);
        if (!written) return written.error();
    }
    if (::syncfs(folder.get()) != 0) return failed("sync", path.string());
    for (const auto& mail : mails) {
        auto from = temporary(mail);
        auto to = mail.id + ".eml";
        if (::renameat(folder.get(), from.c_str(), folder.get(), to.c_str()) != 0)
            return failed("rename", from);
        remove_left_behind(folder.get(), mail);
    }
    if (::fsync(folder.get()) != 0) return failed("sync", path.string());
    return Result<void>();
}

}  // namespace

Task<Result<void>> OutboxFolder::deliver(std::vector<OutgoingMail> mails) {
    auto result = std::make_shared<Result<void>>();
    auto batch = std::make_shared<const std::vector<OutgoingMail>>(std::move(mails));
    std::function<void()> job = [result, batch, folder = folder_] {
        *result = write_all(folder, *batch);
    };
    auto ran = co_await pool_.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return *result;
}

}  // namespace souk::notification::app
