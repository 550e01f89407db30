// What will run in this process: which modules, in which order they start, and whom it needs
// elsewhere. Pure: it reads ModuleInfo and builds nothing, so that every fault is known before a
// file is opened.
#pragma once

#include "host/config.hpp"
#include "souk/module.hpp"

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// The edge has a name like a module and is selected like one, but it is part of the kernel.
inline constexpr std::string_view gateway_name = "gateway";
/// Whose Api the edge calls.
inline constexpr std::string_view gateway_calls = "user";

/// What the configuration offers to a process that runs only a part of the shop.
struct Surroundings {
    std::set<std::string, std::less<>> peers;  // modules that have an address
    bool servers = false;                      // PostgreSQL and RabbitMQ
    bool shared_cache = false;                 // Redis
    bool credential = false;                   // certificates, or the peers' shared key
    bool identity_key = false;                 // to say who asks
    bool identity_public = false;              // to check who asks
};
/// The internal listeners of `module` elsewhere (peers.<module>); empty when none is set.
std::string peer_address(const Config& config, std::string_view module);
Surroundings surroundings(const Config& config, const std::vector<const ModuleInfo*>& available);

struct Plan {
    std::vector<const ModuleInfo*> modules;  // peers before those that call them
    std::vector<const ModuleInfo*> remote;   // what is called here and runs elsewhere
    bool gateway = false;
    bool split = false;      // only a part of the shop runs here
    std::uint16_t port = 0;  // one module's own, where the configuration names none; 0: none
};

/// `wanted`: names of modules, "gateway" among them; empty means all. Errors: `invalid` "modules"
/// with a FieldError for each fault: unknown names, peers that are neither loaded nor have an
/// address, calls that go in a circle, events that nobody publishes, what a part of the shop lacks.
Result<Plan> make_plan(
    const std::vector<const ModuleInfo*>& available,
    const std::vector<std::string>& wanted,
    const Surroundings& around
);

/// Whose calls the modules of `plan` answer: those that declare it, the gateway, the operator.
std::vector<std::string> callers_of(
    const Plan& plan, const std::vector<const ModuleInfo*>& available
);

}  // namespace souk::host
