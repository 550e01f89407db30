#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/host.hpp"
#include "host/process.hpp"
#include "host/registry.hpp"
#include "observe/logging.hpp"
#include "observe/prometheus_metrics.hpp"

#include <fmt/format.h>

namespace souk::cli {
namespace {

void print(const std::vector<host::Migrated>& report) {
    for (const host::Migrated& one : report) {
        if (one.applied.empty())
            fmt::print("{}: up to date\n", one.module);
        else
            fmt::print("{}: applied {}\n", one.module, fmt::join(one.applied, ", "));
    }
}

}  // namespace

int migrate(const CommonOptions& options) {
    auto config = load_config(options);
    if (!config) return report(config.error());
    observe::configure_logging("warn", config->text("log.format"));
    const auto metrics = observe::make_metrics();
    int code = exit_ok;
    host::run_task([&](Executor executor) -> Task<void> {
        host::HostOptions wanted;
        wanted.available = souk::modules();
        wanted.threads.push_back(executor);
        host::Host host(*config, std::move(wanted), base::system_clock(), *metrics);
        auto migrated = co_await host.migrate();
        if (migrated)
            print(*migrated);
        else
            code = report(migrated.error());
    });
    return code;
}

}  // namespace souk::cli
