// What will run in this process: which modules, in which order they start. Pure: it reads
// ModuleInfo and builds nothing, so that every fault is known before a file is opened.
#pragma once

#include "souk/module.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// The edge has a name like a module and is selected like one, but it is part of the kernel.
inline constexpr std::string_view gateway_name = "gateway";
/// Whose Api the edge calls.
inline constexpr std::string_view gateway_calls = "user";

struct Plan {
    std::vector<const ModuleInfo*> modules;  // peers before those that call them
    bool gateway = false;
};

/// `wanted`: names of modules, "gateway" among them; empty means all. Errors: `invalid` "modules"
/// with a FieldError for each fault: unknown names, peers that are not loaded, calls that go in a
/// circle, events that nobody here publishes.
Result<Plan> make_plan(
    const std::vector<const ModuleInfo*>& available, const std::vector<std::string>& wanted
);

}  // namespace souk::host
