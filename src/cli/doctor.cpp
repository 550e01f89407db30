#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/diagnosis.hpp"
#include "host/plan.hpp"
#include "host/process.hpp"
#include "host/registry.hpp"
#include "observe/logging.hpp"
#include "observe/prometheus_metrics.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace souk::cli {
namespace {

using host::Check;
using host::Verdict;
using Checks = std::vector<Check>;

void print(const Check& check) {
    static const Style style(STDOUT_FILENO);
    const bool fine = check.verdict == Verdict::ok;
    std::string_view word = fine ? "ok" : "warn";
    if (check.verdict == Verdict::fail) word = "FAIL";
    fmt::print(
        "{}{:<4}{}  {:<22} {}\n",
        fine ? style.green : style.red,
        word,
        style.reset,
        check.name,
        check.detail
    );
    if (!check.mend.empty()) fmt::print("{:<28} {}{}{}\n", "", style.bold, check.mend, style.reset);
    std::fflush(stdout);  // one at a time, as they come
}

bool all_well(const Checks& checks) {
    return std::none_of(checks.begin(), checks.end(), [](const Check& check) {
        return check.verdict == Verdict::fail;
    });
}

void print_json(const Checks& checks) {
    json::array rows;
    for (const Check& check : checks) {
        json::object row;
        row["name"] = check.name;
        row["status"] = to_string(check.verdict);
        row["detail"] = check.detail;
        row["mend"] = check.mend;
        rows.push_back(std::move(row));
    }
    json::object out;
    out["checks"] = std::move(rows);
    out["ok"] = all_well(checks);
    fmt::print("{}\n", json::serialize(out));
}

/// An error of many faults as a check for each.
Checks checks_of(const std::string& name, const Error& error) {
    Checks out;
    for (const FieldError& fault : error.fields)
        out.emplace_back(name, Verdict::fail, fault.pointer + ": " + fault.detail);
    if (out.empty()) out.emplace_back(name, Verdict::fail, error.detail);
    return out;
}

Checks refused(Checks faults, const std::function<void(const Check&)>& told) {
    for (const Check& fault : faults)
        told(fault);
    return faults;
}

Checks examine(const DoctorOptions& options, const std::function<void(const Check&)>& told) {
    const auto config = load_config(options.common);
    if (!config) return refused(checks_of("configuration", config.error()), told);
    auto plan = host::make_plan(
        souk::modules(), options.modules, host::surroundings(*config, souk::modules())
    );
    if (!plan) return refused(checks_of("modules", plan.error()), told);

    observe::configure_logging("error", config->text("log.format"));
    const auto metrics = observe::make_metrics();
    Checks checks;
    host::run_task([&](Executor executor) -> Task<void> {
        checks =
            co_await host::diagnose(*config, *plan, executor, base::system_clock(), *metrics, told);
    });
    return checks;
}

}  // namespace

int doctor(const DoctorOptions& options) {
    std::function<void(const Check&)> told = [](const Check&) {};
    if (!options.as_json) told = print;
    const Checks checks = examine(options, told);
    const bool well = all_well(checks);
    if (options.as_json)
        print_json(checks);
    else
        fmt::print("{}\n", well ? "all is well" : "not all is well");
    return well ? exit_ok : exit_failed;
}

}  // namespace souk::cli
