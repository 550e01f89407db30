// What the commands share: the configuration, a way to the shop, words on the terminal.
#pragma once

#include "cli/commands.hpp"
#include "host/config.hpp"
#include "host/control.hpp"
#include "souk/async.hpp"
#include "souk/error.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace souk::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// Defaults, file, environment, flags. Errors: those of Config::load.
Result<host::Config> load_config(const CommonOptions& options);

/// Says what went wrong on standard error and gives the exit code for it.
int report(const Error& error);

/// Runs `work` with the shop of the data folder, served or opened here, and gives its exit code.
/// Logs warnings only.
int with_shop(
    const CommonOptions& options, std::function<Task<int>(host::ControlClient& shop)> work
);

/// Escape sequences when `descriptor` is a terminal and NO_COLOR is not set; else empty.
struct Style {
    explicit Style(int descriptor);
    std::string_view bold, dim, green, red, reset;
};

}  // namespace souk::cli
