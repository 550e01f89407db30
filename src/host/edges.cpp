#include "host/edges.hpp"

namespace souk::host {

Task<Result<Identity>> ControlEdge::
    admit(const http::Route&, const http::Request&, http::Headers&) {
    co_return Identity("system", {"admin"}, "");
}

Task<Result<Identity>> AnonymousEdge::
    admit(const http::Route& route, const http::Request&, http::Headers&) {
    if (route.access.kind == http::Access::Kind::everyone) co_return Identity();
    co_return Error(
        ErrorKind::unauthenticated,
        "no_gateway",
        "the gateway, which signs callers in, does not run in this process"
    );
}

}  // namespace souk::host
