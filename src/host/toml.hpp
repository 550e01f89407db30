// TOML read into a flat list of settings. toml++ is slow to compile: it is included in toml.cpp
// only.
#pragma once

#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

enum class TomlType : std::uint8_t { text, integer, boolean, other };

struct TomlEntry {
    std::string key;  // dotted: "modules.user.access_token_ttl"
    TomlType type = TomlType::other;
    std::string value;  // as text
    std::uint32_t line = 0;
};

/// In the order of keys. Errors: `invalid` "toml" with "line N: why" in its detail.
Result<std::vector<TomlEntry>> read_toml(std::string_view text);

}  // namespace souk::host
