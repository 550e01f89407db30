// The life of a server process: a context a thread, signals, an end within bounds.
#pragma once

#include "host/host.hpp"

#include <cstddef>
#include <functional>

namespace souk::host {

struct ServerHooks {
    /// After the shop is open and before it listens: seeding.
    std::function<Task<Result<void>>(Host&)> before_listen;
    /// When it is ready: announcing.
    std::function<void(Host&)> ready;
};

/// Serves until SIGTERM or SIGINT, then stops in order; a second signal ends the process at once.
/// Makes `options.threads` itself, http.threads of them. Errors: those of Host::open and listen.
Result<void> run_server(
    Config config, HostOptions options, Clock& clock, Metrics& metrics, ServerHooks hooks
);

/// Runs one task on this thread until it and all that it started is done.
void run_task(std::function<Task<void>(Executor)> task);

}  // namespace souk::host
