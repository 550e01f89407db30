#include "host/edges.hpp"

namespace souk::host {

Task<Result<Identity>> ControlEdge::
    admit(const http::Route&, const http::Request&, http::Headers&) {
    co_return Identity("system", {"admin"}, "");
}

Task<Result<Identity>> AnonymousEdge::
    admit(const http::Route& route, const http::Request&, http::Headers&) {
    if (!route.pattern.starts_with("/api/")) co_return Identity();
    co_return Error(
        ErrorKind::unauthenticated,
        "no_gateway",
        "this process serves the gateway; send requests for the API there"
    );
}

}  // namespace souk::host
