// The operator's routes to events that nobody could handle, for `souk events dead`; on the control
// socket only.
#pragma once

#include "events/event_bus.hpp"
#include "souk/http.hpp"

namespace souk::host {

/// GET /internal/events/dead; POST /internal/events/dead/replay and /internal/events/dead/drop with
/// {"consumer","event_id"}, 404 when there is none such. `bus` must outlive the routes.
http::Routes event_routes(events::EventBus& bus);

}  // namespace souk::host
