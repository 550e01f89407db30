// The public routes of a module that runs elsewhere, as this binary knows them: the gateway checks
// and documents them as if the module were here. The module is built for a moment, over parts that
// refuse all work, asked for its table, and forgotten.
#pragma once

#include "host/config.hpp"
#include "souk/clock.hpp"
#include "souk/module.hpp"

namespace souk::host {

/// `info`'s routes without their handlers.
http::Routes route_table(
    const ModuleInfo& info, const Config& config, Executor executor, Clock& clock
);

}  // namespace souk::host
