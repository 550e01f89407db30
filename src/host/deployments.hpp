// The shop in deployments of its own: what each is called and where it listens. Made of what the
// modules say of themselves; `souk topology` shows it, and deploy files are checked against it.
#pragma once

#include "souk/module.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// The role of the command line beside those of the processes: certificates name one.
inline constexpr std::string_view operator_role = "operator";

struct Deployment {
    std::string name;             // "order-service", "api-gateway"
    std::string role;             // what --modules= takes: "order", "gateway"
    std::uint16_t port;           // public, in a pod and on one machine
    std::uint16_t internal_port;  // for peers; 0: none, nobody calls the gateway
    std::uint16_t metrics_port;   // where all run on one machine; in a pod it is metrics.port
};

/// The gateway, then one a module in the order of `available`. A module that names no port gets
/// none (0), neither public nor internal.
std::vector<Deployment> deployments(const std::vector<const ModuleInfo*>& available);

}  // namespace souk::host
