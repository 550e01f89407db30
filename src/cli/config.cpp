#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace souk::cli {
namespace {

void print_json(const host::Config& config) {
    json::object out;
    for (const auto& [key, setting] : config.values()) {
        json::object row;
        row["value"] = host::masked(key, setting.value);
        row["origin"] = setting.origin;
        out[key] = std::move(row);
    }
    fmt::print("{}\n", json::serialize(out));
}

void print_table(const host::Config& config) {
    std::size_t key_width = 0;
    std::size_t value_width = 0;
    for (const auto& [key, setting] : config.values()) {
        key_width = std::max(key_width, key.size());
        value_width = std::max(value_width, host::masked(key, setting.value).size());
    }
    const Style style(STDOUT_FILENO);
    for (const auto& [key, setting] : config.values())
        fmt::print(
            "{:<{}}  {:<{}}  {}{}{}\n",
            key,
            key_width,
            host::masked(key, setting.value),
            value_width,
            setting.origin == "default" ? style.dim : style.bold,
            setting.origin,
            style.reset
        );
}

}  // namespace

int config_check(const CommonOptions& options) {
    const auto config = load_config(options);
    if (!config) return report(config.error());
    const auto& values = config->values();
    const auto changed = std::count_if(values.begin(), values.end(), [](const auto& entry) {
        return entry.second.origin != "default";
    });
    fmt::print(
        "the configuration is sound: {} settings, {} of them not the default\n",
        values.size(),
        changed
    );
    return exit_ok;
}

int config_show(const CommonOptions& options, bool as_json) {
    const auto config = load_config(options);
    if (!config) return report(config.error());
    if (as_json)
        print_json(*config);
    else
        print_table(*config);
    return exit_ok;
}

}  // namespace souk::cli
