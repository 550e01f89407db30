// What stands between the router and a handler on the public listener: who is it, may they, how
// often. The gateway implements it; the internal listener has its own.
#pragma once

#include "souk/http.hpp"

#include <string>
#include <vector>

namespace souk::http {

/// How a request came, and what goes on with it besides the caller's identity.
struct Arrival {
    const std::vector<std::string>* peer_names = nullptr;  // of the certificate; null without TLS
    std::string identity_token;  // set by the edge: CallContext::identity_token
    // Set by the edge: what is left of the caller's own time, counted from the complete head.
    microseconds time_left = microseconds::max();
};

class Edge {
public:
    virtual ~Edge() = default;
    /// What the dispatcher calls; an edge to which the arrival is all the same implements admit().
    virtual Task<Result<Identity>> admit_arrival(
        const Route& route, const Request& request, Arrival&, Headers& response_headers
    ) {
        return admit(route, request, response_headers);
    }
    /// Identity of the request, after access and rate limits of `route` were checked. May add
    /// header fields for the response (RateLimit, ...). Errors: `unauthenticated`, `forbidden`,
    /// `rate_limited`, `unavailable`.
    virtual Task<Result<Identity>> admit(
        const Route& route, const Request& request, Headers& response_headers
    ) = 0;
    /// Whether an answer of 5xx may say what is wrong inside (hosts, databases): to an operator or
    /// a peer. The public learns its code and that it is so.
    virtual bool tells_faults() const { return true; }
    /// CORS preflight and headers; called for every response on the listener.
    virtual void finish(const Request& request, Headers& response_headers) = 0;
};

}  // namespace souk::http
