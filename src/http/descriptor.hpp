// A file descriptor that closes itself, and which file a name stands for: what is handed from one
// process to another.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

namespace souk::http {

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }

    Descriptor copy() const { return Descriptor(::fcntl(fd_, F_DUPFD_CLOEXEC, 0)); }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

/// Which file a name stands for, to tell ours from a successor's of the same name.
struct FileId {
    bool operator==(const FileId&) const = default;
    dev_t device = 0;
    ino_t inode = 0;  // 0: there is none
};

inline FileId file_id(const std::filesystem::path& path) {
    FileId out;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return out;
    out.device = info.st_dev;
    out.inode = info.st_ino;
    return out;
}

inline FileId file_id(const Descriptor& descriptor) {
    FileId out;
    struct stat info {};
    if (::fstat(descriptor.get(), &info) != 0) return out;
    out.device = info.st_dev;
    out.inode = info.st_ino;
    return out;
}

}  // namespace souk::http
