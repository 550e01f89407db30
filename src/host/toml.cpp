#include "host/toml.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

namespace souk::host {
namespace {

TomlEntry to_entry(std::string key, const toml::node& node) {
    TomlEntry entry;
    entry.key = std::move(key);
    entry.line = node.source().begin.line;
    if (const auto* text = node.as_string()) {
        entry.type = TomlType::text;
        entry.value = text->get();
    } else if (const auto* integer = node.as_integer()) {
        entry.type = TomlType::integer;
        entry.value = std::to_string(integer->get());
    } else if (const auto* boolean = node.as_boolean()) {
        entry.type = TomlType::boolean;
        entry.value = boolean->get() ? "true" : "false";
    }
    return entry;
}

void flatten(const toml::table& table, const std::string& prefix, std::vector<TomlEntry>& out) {
    for (const auto& [name, node] : table) {
        std::string key = prefix + std::string(name.str());
        if (const auto* inner = node.as_table())
            flatten(*inner, key + '.', out);
        else
            out.push_back(to_entry(std::move(key), node));
    }
}

}  // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text) {
    try {
        std::vector<TomlEntry> out;
        flatten(toml::parse(text), "", out);
        return out;
    } catch (const toml::parse_error& error) {
        return invalid(
            "toml", fmt::format("line {}: {}", error.source().begin.line, error.description())
        );
    }
}

}  // namespace souk::host
