// The contract between the host and a module. `ModuleInfo` can be read without building anything
// (`souk topology`, start order, fault lists); `ModuleDeps` is all that a module may touch. A
// module is registered by one line in modules/CMakeLists.txt.
#pragma once

#include "souk/async.hpp"
#include "souk/blocking.hpp"
#include "souk/cache.hpp"
#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/events.hpp"
#include "souk/http.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"
#include "souk/peers.hpp"
#include "souk/settings.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace souk {

class Remote;

struct ModuleDeps {
    Executor executor;       // for background tasks; requests run on their connection's thread
    BlockingPool& blocking;  // for short blocking work of any module
    Database& database;      // the module's own
    Bus& bus;
    Cache& cache;
    RateLimiter& limiter;
    Clock& clock;
    Logger log;
    Metrics& metrics;
    Settings settings;
    Peers& peers;
    std::filesystem::path data;  // a folder of the module's own for files; exists
};

struct Health {
    bool ready = true;
    std::string detail;  // why not, for /health/ready
};

class Module {
public:
    virtual ~Module() = default;
    /// The public API, under /api/.
    virtual http::Routes routes() { return {}; }
    /// For peers and for the operator's commands, under /internal/<module>/; never public.
    virtual http::Routes internal_routes() { return {}; }
    virtual std::vector<Subscription> subscriptions() { return {}; }
    /// Called in the order of dependencies (peers first), before any request arrives. Background
    /// tasks start here. An error stops the process with its words.
    virtual Task<Result<void>> start() { co_return Result<void>(); }
    virtual Health health() const { return {}; }
    /// Stops background tasks; returns when they are done or `deadline` has passed.
    virtual Task<void> stop(Deadline) { co_return; }
};

struct ModuleInfo {
    std::string_view name;
    std::vector<std::string_view> calls;      // modules whose Api it gets
    std::vector<std::string_view> publishes;  // event types
    std::vector<std::string_view> listens;    // event types
    std::vector<Migration> migrations;
    std::uint16_t port = 0;  // of its own deployment, "<name>-service"; internal: 10000 more
    std::unique_ptr<Module> (*create)(ModuleDeps deps);
    /// The module's Api over `remote`, which outlives it; points to an Api. Null: it has none.
    std::shared_ptr<void> (*connect)(Remote& remote) = nullptr;
};

}  // namespace souk
