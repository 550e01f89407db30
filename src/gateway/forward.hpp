// The gateway as a reverse proxy: a route of a module that runs elsewhere, answered by that module.
// What the edge decides (access, rates, limits, keys) is decided here; the request then goes on
// with the caller's signed identity instead of its credentials, and bodies stream both ways.
#pragma once

#include "peers/pool.hpp"
#include "souk/clock.hpp"
#include "souk/http.hpp"

#include <string>

namespace souk::gateway {

/// `theirs` with a handler that sends the request to the module behind `pool`, which must outlive
/// it. Errors of the handler: what the module answers with 5xx; what the client's body failed with.
/// A module that is away, or whose answer is no peer's, is a 503 "module_unavailable" that names
/// it; one that is too slow, a 504 "timeout".
http::Route forwarded(http::Route theirs, peers::Pool& pool, Clock& clock);

}  // namespace souk::gateway
