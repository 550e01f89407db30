// What stands between the router and a handler on the public listener: who is it, may they, how
// often. The gateway implements it; the internal listener has its own.
#pragma once

#include "souk/http.hpp"

namespace souk::http {

class Edge {
public:
    virtual ~Edge() = default;
    /// Identity of the request, after access and rate limits of `route` were checked. May add
    /// header fields for the response (RateLimit, ...). Errors: `unauthenticated`, `forbidden`,
    /// `rate_limited`, `unavailable`.
    virtual Task<Result<Identity>> admit(
        const Route& route, const Request& request, Headers& response_headers
    ) = 0;
    /// CORS preflight and headers; called for every response on the listener.
    virtual void finish(const Request& request, Headers& response_headers) = 0;
};

}  // namespace souk::http
