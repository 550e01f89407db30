// The API's description, made from the same table that serves it.
#pragma once

#include "souk/http.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace souk::http {

/// A route, whose it is, and the names in its pattern's braces (which point into the pattern).
struct Endpoint {
    Endpoint(Route route, std::string module)
        : route(std::move(route)), module(std::move(module)) {}
    Route route;
    std::string module;
    std::vector<std::string_view> parameters;
};

/// An OpenAPI 3.1 document of `endpoints`.
souk::json::object describe(const std::deque<Endpoint>& endpoints, std::string_view version);

}  // namespace souk::http
