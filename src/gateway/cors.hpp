// Cross-origin requests (the Fetch standard): which origins' pages may read our answers. An allow
// list, no wildcard; credentials travel in Authorization, never in cookies.
#pragma once

#include "souk/http.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::gateway {

class Cors {
public:
    /// `origins`: comma-separated, "https://shop.example.com".
    explicit Cors(std::string_view origins);
    /// Adds what a browser needs to hand the response to the page, or to send the request at all.
    void finish(const http::Request& request, http::Headers& response_headers) const;

private:
    bool allows(std::string_view origin) const;
    std::vector<std::string> origins_;
};

}  // namespace souk::gateway
