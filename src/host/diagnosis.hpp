// What `souk doctor` finds: everything that the configuration names, tried as the server would use
// it, each fault with how to mend it. It leaves nothing behind, and works beside a running server.
#pragma once

#include "host/config.hpp"
#include "host/plan.hpp"
#include "souk/clock.hpp"
#include "souk/metrics.hpp"
#include "souk/module.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// `warn`: the shop runs, but an operator should know.
enum class Verdict : std::uint8_t { ok, warn, fail };
std::string_view to_string(Verdict verdict);

struct Check {
    Check(std::string name, Verdict verdict, std::string detail, std::string mend = {})
        : name(std::move(name))
        , verdict(verdict)
        , detail(std::move(detail))
        , mend(std::move(mend)) {}
    std::string name;  // "database order", "redis"
    Verdict verdict;
    std::string detail;  // what was found; no passwords
    std::string mend;    // what to do; empty when there is nothing to, or the detail says it
};

/// `told` is called with each check as soon as it is done. `plan`: the modules whose databases to
/// try, and the peers that they call.
Task<std::vector<Check>> diagnose(
    Config config,
    Plan plan,
    Executor executor,
    Clock& clock,
    Metrics& metrics,
    std::function<void(const Check&)> told
);

}  // namespace souk::host
