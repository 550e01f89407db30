// Admission where there is no gateway.
#pragma once

#include "http/edge.hpp"

namespace souk::host {

/// The control socket's: its file mode lets in the operator only, who may do everything.
class ControlEdge final : public http::Edge {
public:
    Task<Result<Identity>> admit(
        const http::Route& route, const http::Request& request, http::Headers& response_headers
    ) override;
    void finish(const http::Request&, http::Headers&) override {}
};

/// The public listener's when the gateway is not loaded here, and the metrics listener's: nobody
/// can sign in and nothing counts requests, so the API is not served, only the host's own pages.
class AnonymousEdge final : public http::Edge {
public:
    Task<Result<Identity>> admit(
        const http::Route& route, const http::Request& request, http::Headers& response_headers
    ) override;
    bool tells_faults() const override { return false; }
    void finish(const http::Request&, http::Headers&) override {}
};

}  // namespace souk::host
