// Many requests at once over a bounded number of keep-alive connections: how a test makes a crowd.
#pragma once

#include "souk/http.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace souk::test {

struct Outgoing {
    Outgoing(http::Method method, std::string target, std::string body, http::Headers headers)
        : method(method)
        , target(std::move(target))
        , body(std::move(body))
        , headers(std::move(headers)) {}
    http::Method method;
    std::string target;
    std::string body;
    http::Headers headers;
};

/// The answers in the order of the requests; status 0 where nobody answered.
std::vector<http::Response> send_all(
    std::uint16_t port, const std::vector<Outgoing>& requests, std::size_t connections
);

}  // namespace souk::test
