// The probes. Liveness says only that the process answers: it never looks at a dependency, or one
// database that is away would restart every process. Readiness says whether to send requests here.
#pragma once

#include "souk/http.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace souk::host {

using Faults = std::vector<std::pair<std::string, std::string>>;  // of whom, why

struct Readiness {
    std::string phase;  // "starting", "ready", "stopping"
    Faults unready;     // of modules
    Faults degraded;    // of what the shop can do without for a while: events, cache
    bool ready() const { return phase == "ready" && unready.empty(); }
};

/// /health, /health/live and /health/ready. `look` is called on any thread.
http::Routes health_routes(std::function<Readiness()> look);

}  // namespace souk::host
