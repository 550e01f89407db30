// The host: takes the plan and the configuration and makes a running shop of them; the one place
// that knows what is local. `open` builds all and starts it in the order of dependencies, `listen`
// opens the doors, `stop` closes them first and then takes down in reverse. Without `listen` it
// serves commands in this process through `dispatch_internal`.
#pragma once

#include "host/config.hpp"
#include "souk/clock.hpp"
#include "souk/http.hpp"
#include "souk/metrics.hpp"
#include "souk/module.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace souk::host {

struct HostOptions {
    std::vector<const ModuleInfo*> available;  // every module of this binary
    std::vector<std::string> wanted;           // names; empty: all
    std::string version;                       // of the API, in /openapi.json
    /// The contexts that serve; background tasks run on the first.
    std::vector<Executor> threads;
    /// Takes the listening sockets of the server that runs on the same data folder, if one does.
    bool takeover = false;
    /// Called when a successor has taken the sockets: time to stop().
    std::function<void()> succeeded;
};

/// What a module's database went through.
struct Migrated {
    Migrated(std::string module, std::vector<std::string> applied)
        : module(std::move(module)), applied(std::move(applied)) {}
    std::string module;
    std::vector<std::string> applied;
};

class Host {
public:
    /// `clock` and `metrics` must outlive the host.
    Host(Config config, HostOptions options, Clock& clock, Metrics& metrics);
    ~Host();  // after stop()
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// Locks the data folder, opens the databases and brings their schemas up to date. Errors:
    /// those of the plan, the data folder, the database, the migrations.
    Task<Result<std::vector<Migrated>>> migrate();
    /// migrate() when that was not done, then builds and starts everything but the listeners.
    /// Errors: `invalid` "modules" with a FieldError for each fault in how the modules fit
    /// together; what a module's start answers.
    Task<Result<void>> open();
    /// Opens the control socket, the metrics listener, the public one and, where only a part of the
    /// shop runs, the internal one. From here on the host is ready, and offers its sockets to a
    /// successor. Errors: `unavailable` "listen", `invalid` "socket_path", `unavailable`
    /// "handover".
    Task<Result<void>> listen();
    /// Not ready any more; drains listeners, stops the bus and the modules in reverse. Safe to call
    /// whatever was reached before.
    Task<void> stop();

    /// A request on behalf of the operator, to public and internal routes alike.
    Task<http::Response> dispatch_internal(http::Request request);

    std::uint16_t port() const;
    std::uint16_t metrics_port() const;
    /// 0 when there is no internal listener.
    std::uint16_t internal_port() const;
    const Config& config() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace souk::host
