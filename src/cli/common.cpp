#include "cli/common.hpp"

#include "base/system_clock.hpp"
#include "host/process.hpp"
#include "host/registry.hpp"
#include "observe/logging.hpp"
#include "observe/prometheus_metrics.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace souk::cli {
namespace {

/// Faults that the user mends in the command line or the configuration.
constexpr std::array usage_codes = {"config", "modules", "socket_path", "usage"};

Task<int> open_and_work(
    Executor executor,
    host::Config config,
    Metrics& metrics,
    const std::function<Task<int>(host::ControlClient&)>& work
) {
    auto shop = co_await host::ControlClient::open(
        executor, std::move(config), souk::modules(), base::system_clock(), metrics
    );
    if (!shop) co_return report(shop.error());
    int code = exit_failed;
    try {
        code = co_await work(**shop);
    } catch (const std::exception& e) {
        code = report(Error(ErrorKind::internal, "internal", e.what()));
    }
    co_await (*shop)->close();
    co_return code;
}

}  // namespace

Result<host::Config> load_config(const CommonOptions& options) {
    host::ConfigInput input;
    input.file = options.config_file;
    input.environment = host::process_environment();
    input.flags = options.flags;
    return host::Config::load(input);
}

int report(const Error& error) {
    const Style style(STDERR_FILENO);
    fmt::print(
        stderr,
        "{}souk:{} {}\n",
        style.red,
        style.reset,
        error.detail.empty() ? error.code : error.detail
    );
    const bool usage =
        std::find(usage_codes.begin(), usage_codes.end(), error.code) != usage_codes.end();
    return usage ? exit_usage : exit_failed;
}

int with_shop(
    const CommonOptions& options, std::function<Task<int>(host::ControlClient& shop)> work
) {
    auto config = load_config(options);
    if (!config) return report(config.error());
    observe::configure_logging("warn", config->text("log.format"));
    const auto metrics = observe::make_metrics();
    int code = exit_failed;
    host::run_task([&](Executor executor) -> Task<void> {
        code = co_await open_and_work(executor, *config, *metrics, work);
    });
    return code;
}

Style::Style(int descriptor) {
    const char* no_colour = std::getenv("NO_COLOR");
    if (::isatty(descriptor) == 0 || (no_colour != nullptr && *no_colour != '\0')) return;
    bold = "\x1b[1m";
    dim = "\x1b[2m";
    green = "\x1b[32m";
    red = "\x1b[31m";
    reset = "\x1b[0m";
}

}  // namespace souk::cli
