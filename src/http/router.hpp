// From a method and a path to a route. Static segments win over parameters; 405 with Allow when the
// path exists with other methods.
#pragma once

#include "souk/http.hpp"

#include <memory>

namespace souk::http {

class Router {
public:
    Router();
    ~Router();
    Router(Router&&) noexcept;
    /// Throws std::logic_error when two routes collide.
    void add(std::string module, Routes routes);
    struct Match {
        const Route* route = nullptr;
        std::string_view module;  // "order", for metrics and logs
        std::string allow;        // for 405 when route is null and the path exists
    };
    /// Fills `request.params`.
    Match match(Request& request) const;
    /// OpenAPI 3.1 of all routes.
    souk::json::object openapi(std::string_view version) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace souk::http
