// The folder that holds a shop: its databases, keys and outboxes. One process at a time owns it (an
// flock, which the kernel of the operating system gives back whatever happens to the process).
//
//     souk.lock            held by the owner; its text is the owner's pid
//     souk.sock            the operator's control socket while a server runs
//     souk.json            {pid, port, metrics_port} of the server while it runs
//     handover.sock        where the server's successor asks for its sockets (handover.hpp)
//     <module>/<module>.sqlite
//
// What a module keeps in files beside its database lies in <module>/, too, or below data.shared
// when several processes over one PostgreSQL are one shop: then it is not locked.
#pragma once

#include "http/descriptor.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

namespace souk::host {

class DataFolder {
public:
    /// Makes the folder (mode 0700) when it is absent and takes the lock. Errors: `unavailable`
    /// "data_locked" with the owner's pid, `unavailable` "data_folder" with the reason.
    static Result<DataFolder> lock(std::filesystem::path dir);
    /// The same without the lock, which a predecessor holds. Errors: `unavailable` "data_folder".
    static Result<DataFolder> join(std::filesystem::path dir);
    DataFolder(DataFolder&&) = default;
    DataFolder& operator=(DataFolder&&) = delete;

    const std::filesystem::path& path() const { return dir_; }
    bool locked() const { return lock_.get() >= 0; }
    /// After join(): takes the lock, which nobody holds any more. Errors: those of lock().
    Result<void> own();
    /// After join(): `lock` is a copy of the predecessor's, from its lock_copy(). The lock is held
    /// until both are closed. Errors: `invalid` "data_folder" when it is another folder's, or none.
    Result<void> own(http::Descriptor lock);
    http::Descriptor lock_copy() const;

    /// Writes souk.json, for scripts and tests. Errors: `unavailable` "data_folder".
    Result<void> announce(std::uint16_t port, std::uint16_t metrics_port);
    /// Removes souk.json and souk.sock, unless a successor has put its own there since announce().
    void withdraw() const;

private:
    explicit DataFolder(std::filesystem::path dir) : dir_(std::move(dir)) {}
    std::filesystem::path dir_;
    http::Descriptor lock_;
    http::FileId announced_;
    http::FileId socket_;
};

/// The folder of one module below `root`, both made (mode 0700) when absent. Errors: `unavailable`
/// "data_folder".
Result<std::filesystem::path> module_folder(
    const std::filesystem::path& root, std::string_view module
);

/// Where the control socket of the shop in `dir` is. Errors: `invalid` "socket_path" when the path
/// is longer than the operating system allows (107 bytes).
Result<std::filesystem::path> control_socket(const std::filesystem::path& dir);

/// Writes `content` so that readers see the old or the new file, never half of one. Mode 0600.
Result<void> write_private_file(const std::filesystem::path& file, std::string_view content);

}  // namespace souk::host
