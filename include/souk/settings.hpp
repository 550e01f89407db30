// A module's own part of the configuration, [modules.<name>] in config/souk.toml. That file is
// embedded and is the schema: what it does not list does not exist, and the type of a setting is
// the type of its default.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace souk {

class Settings {
public:
    Settings() = default;
    /// `values`: dotted key below the section → value as text (durations as "30s", "250ms").
    explicit Settings(std::map<std::string, std::string, std::less<>> values);

    // Each throws std::logic_error for a key that config/souk.toml does not list: a fault in code.
    const std::string& text(std::string_view key) const;
    std::int64_t integer(std::string_view key) const;
    bool boolean(std::string_view key) const;
    std::chrono::milliseconds duration(std::string_view key) const;

private:
    std::map<std::string, std::string, std::less<>> values_;
};

/// "250ms", "30s", "10m", "2h", "7d". Throws std::invalid_argument otherwise.
std::chrono::milliseconds parse_duration(std::string_view text);

}  // namespace souk
