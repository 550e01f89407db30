#include "host/data_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace souk::host {
namespace {

namespace fs = std::filesystem;

Error folder_error(const fs::path& path, std::string_view why) {
    return unavailable("data_folder", fmt::format("the data folder: {}: {}", path.string(), why));
}

Result<void> make_private(const fs::path& dir) {
    std::error_code error;
    if (fs::create_directories(dir, error)) fs::permissions(dir, fs::perms::owner_all, error);
    if (error) return folder_error(dir, error.message());
    if (!fs::is_directory(dir, error)) return folder_error(dir, "is not a folder");
    return Result<void>();
}

std::string read_pid(int fd) {
    char text[32] = {};
    const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
    std::string pid(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    while (!pid.empty() && (pid.back() < '0' || pid.back() > '9'))
        pid.pop_back();
    return pid.empty() ? "unknown" : pid;
}

Result<void> write_pid(int fd) {
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0)
        return folder_error("souk.lock", std::strerror(errno));
    return Result<void>();
}

}  // namespace

Result<DataFolder> DataFolder::join(fs::path dir) {
    if (auto made = make_private(dir); !made) return made.error();
    return DataFolder(std::move(dir));
}

Result<DataFolder> DataFolder::lock(fs::path dir) {
    auto folder = join(std::move(dir));
    if (!folder) return folder.error();
    if (auto owned = folder->own(); !owned) return owned.error();
    return folder;
}

Result<void> DataFolder::own() {
    const fs::path file = dir_ / "souk.lock";
    http::Descriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.get() < 0) return folder_error(file, std::strerror(errno));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return folder_error(file, std::strerror(errno));
        return unavailable(
            "data_locked",
            fmt::format(
                "process {} is using the shop in {}: stop it first, or choose "
                "another folder with --data",
                read_pid(lock.get()),
                dir_.string()
            )
        );
    }
    lock_ = std::move(lock);
    return write_pid(lock_.get());
}

Result<void> DataFolder::own(http::Descriptor lock) {
    const http::FileId file = http::file_id(dir_ / "souk.lock");
    if (file.inode == 0 || http::file_id(lock) != file)
        return invalid("data_folder", "the lock that was handed over is not this folder's");
    lock_ = std::move(lock);
    return write_pid(lock_.get());
}

http::Descriptor DataFolder::lock_copy() const {
    return lock_.copy();
}

Result<fs::path> module_folder(const fs::path& root, std::string_view module) {
    if (auto made = make_private(root); !made) return made.error();
    fs::path dir = root / module;
    if (auto made = make_private(dir); !made) return made.error();
    return dir;
}

Result<void> DataFolder::announce(std::uint16_t port, std::uint16_t metrics_port) {
    auto written = write_private_file(
        dir_ / "souk.json",
        fmt::format(
            "{{\"pid\":{},\"port\":{},\"metrics_port\":{}}}\n", ::getpid(), port, metrics_port
        )
    );
    announced_ = http::file_id(dir_ / "souk.json");
    socket_ = http::file_id(dir_ / "souk.sock");
    return written;
}

void DataFolder::withdraw() const {
    std::error_code ignored;
    const fs::path announced = dir_ / "souk.json";
    const fs::path socket = dir_ / "souk.sock";
    if (http::file_id(announced) == announced_) fs::remove(announced, ignored);
    if (http::file_id(socket) == socket_) fs::remove(socket, ignored);
}

Result<fs::path> control_socket(const fs::path& dir) {
    fs::path path = dir / "souk.sock";
    constexpr std::size_t limit = sizeof(sockaddr_un::sun_path) - 1;
    if (path.native().size() > limit)
        return invalid(
            "socket_path",
            fmt::format(
                "the path of the control socket, {}, has {} bytes, and the "
                "operating system allows {}: choose a shorter --data, or one "
                "relative to the working directory",
                path.string(),
                path.native().size(),
                limit
            )
        );
    return path;
}

Result<void> write_private_file(const fs::path& file, std::string_view content) {
    const fs::path fresh = file.string() + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return folder_error(fresh, std::strerror(errno));
    // The mode above counts for new files only.
    const bool written =
        ::fchmod(fd, 0600) == 0 &&
        ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
        ::fsync(fd) == 0;
    const int reason = errno;
    ::close(fd);
    if (!written) return folder_error(fresh, std::strerror(reason));
    if (::rename(fresh.c_str(), file.c_str()) != 0) return folder_error(file, std::strerror(errno));
    return Result<void>();
}

}  // namespace souk::host
