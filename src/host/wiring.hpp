// The modules of one process and how they fit together: built, their routes laid out on the
// routers, their subscriptions checked against what they declared. Collects every fault.
#pragma once

#include "host/plan.hpp"
#include "http/router.hpp"
#include "souk/module.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace souk::host {

class Wiring {
public:
    /// The view of `info` on the table, for its ModuleDeps; lives as long as this.
    Peers& peers_of(const ModuleInfo& info, PeerTable& table);
    /// Builds the module. What its constructor throws is a fault for finish().
    void create(const ModuleInfo& info, ModuleDeps deps);

    void add_host_routes(http::Routes routes);  // on all but the internal one
    void add_public_routes(http::Routes routes);
    void add_metrics_routes(http::Routes routes);
    void add_operator_routes(http::Routes routes);  // control socket and internal listener
    /// Of a module that runs elsewhere, for the gateway.
    void add_remote_routes(const ModuleInfo& info, http::Routes routes);

    /// Call once, after all of the above. Errors: `invalid` "modules" with a FieldError for each
    /// fault.
    Result<void> finish(const PeerTable& peers, const Plan& plan);

    Module& module(std::size_t index) const { return *loaded_[index].module; }
    /// Of the module at `index`, in the order of create().
    std::vector<Subscription> take_subscriptions(std::size_t index);

    http::Router public_router;
    http::Router control_router;
    http::Router internal_router;  // for peers: what the modules here answer
    http::Router metrics_router;

private:
    struct Loaded {
        const ModuleInfo* info;
        std::unique_ptr<Module> module;
        std::vector<Subscription> subscriptions;
    };
    void lay_routes(const Loaded& loaded);
    void check_prefix(
        std::string_view module, const http::Routes& routes, const std::string& prefix
    );
    void check_subscriptions(const Loaded& loaded);
    void add(http::Router& router, std::string_view module, http::Routes routes);
    void fault(std::string_view module, std::string detail);

    std::deque<Peers> views_;
    std::vector<Loaded> loaded_;
    std::vector<FieldError> faults_;
};

}  // namespace souk::host
