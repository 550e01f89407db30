// A host's place in the succession of servers on one data folder: what it takes from the server
// before it (`souk serve --takeover`), and what it leaves to the one after it.
#pragma once

#include "host/config.hpp"
#include "host/data_folder.hpp"
#include "host/handover.hpp"
#include "http/server.hpp"
#include "souk/log.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace souk::host {

/// Listeners by the names under which their sockets are handed on.
using Listeners = std::vector<std::pair<std::string, http::Server*>>;

class Succession {
public:
    Succession(Executor executor, Clock& clock) : executor_(executor), clock_(clock) {}

    /// The data folder: locked, or, when `takeover` is asked for and a server has it, joined.
    /// Errors: those of DataFolder::lock; `invalid` "takeover" where the folder holds the
    /// databases, which two processes cannot have open.
    static Result<DataFolder> folder(const Config& config, bool takeover);

    /// Opens the listeners: on the sockets of the server that has the folder, where it has some for
    /// them. When there is no such server any more, takes the lock, for which it may wait half a
    /// minute. Errors: those of Takeover::ask, DataFolder::own, Server::listen and adopt.
    Task<Result<void>> listen(Listeners listeners, DataFolder& folder);
    /// Tells the predecessor, if there is one, to leave. Errors: those of Takeover::ready.
    Task<Result<void>> tell_ready(DataFolder& folder);
    /// Offers the listeners' sockets to a successor; `leave` is called when one is ready. Errors:
    /// `invalid` "socket_path", `unavailable` "handover".
    Result<void> offer(
        const Listeners& listeners, const DataFolder& folder, std::function<void()> leave
    );
    void end_offer() { offer_.reset(); }
    /// Whether a successor has the sockets.
    bool succeeded() const { return succeeded_; }

private:
    Task<Result<void>> wait_for_lock(DataFolder& folder);
    Result<void> open(const std::string& name, http::Server& server);

    Executor executor_;
    Clock& clock_;
    std::unique_ptr<Takeover> takeover_;
    std::unique_ptr<HandoverOffer> offer_;
    bool succeeded_ = false;
    const Logger log_{"handover"};
};

}  // namespace souk::host
