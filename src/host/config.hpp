// The configuration: config/souk.toml (embedded; it is the schema), then the file of --config, then
// the environment (SOUK__SECTION__KEY), then flags. Each value knows where it came from. Every
// fault is found before anything starts, and all are told at once.
#pragma once

#include "souk/error.hpp"
#include "souk/settings.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk::host {

/// The type of a setting is the type of its default.
enum class SettingType : std::uint8_t { text, integer, boolean, duration };

struct ConfigValue {
    SettingType type = SettingType::text;
    std::string value;
    std::string origin;  // "default", "souk.toml:12", "SOUK__HTTP__PORT", "--port"
};

struct ConfigFlag {
    ConfigFlag(std::string origin, std::string assignment)
        : origin(std::move(origin)), assignment(std::move(assignment)) {}
    std::string origin;      // as the user wrote it: "--set", "--port"
    std::string assignment;  // "http.port=3001"
};

struct ConfigInput {
    std::string file;  // of --config; empty: none
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<ConfigFlag> flags;
};

/// The environment of this process.
std::vector<std::pair<std::string, std::string>> process_environment();

class Config {
public:
    /// Errors: `invalid` "config" with a FieldError for each fault; its pointer is the origin.
    static Result<Config> load(const ConfigInput& input);

    // Each throws std::logic_error for a key that config/souk.toml does not list.
    const std::string& text(std::string_view key) const { return all_.text(key); }
    std::int64_t integer(std::string_view key) const { return all_.integer(key); }
    bool boolean(std::string_view key) const { return all_.boolean(key); }
    std::chrono::milliseconds duration(std::string_view key) const { return all_.duration(key); }

    /// The settings below `section`: "gateway", "modules.user".
    Settings section(std::string_view section) const;
    const std::map<std::string, ConfigValue, std::less<>>& values() const { return values_; }

private:
    std::map<std::string, ConfigValue, std::less<>> values_;
    Settings all_;
};

/// `value` as it may be shown: secrets and the user part of URLs are masked.
std::string masked(std::string_view key, const std::string& value);

}  // namespace souk::host
