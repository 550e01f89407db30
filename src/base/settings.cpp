#include "souk/settings.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>

namespace souk {
namespace {

[[noreturn]] void fail(std::string_view key, std::string_view why) {
    throw std::logic_error("setting " + std::string(key) + ": " + std::string(why));
}

/// False unless all of `text` is one integer.
bool parse_integer(std::string_view text, std::int64_t& value) {
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && rest == end;
}

struct Unit {
    std::string_view suffix;
    std::int64_t ms;
};

constexpr std::array units{
    Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};

}  // namespace

Settings::Settings(std::map<std::string, std::string, std::less<>> values)
    : values_(std::move(values)) {}

const std::string& Settings::text(std::string_view key) const {
    auto it = values_.find(key);
    if (it == values_.end()) fail(key, "not listed in config/souk.toml");
    return it->second;
}

std::int64_t Settings::integer(std::string_view key) const {
    std::int64_t value = 0;
    if (!parse_integer(text(key), value)) fail(key, "not an integer");
    return value;
}

bool Settings::boolean(std::string_view key) const {
    const std::string& value = text(key);
    if (value != "true" && value != "false") fail(key, "neither true nor false");
    return value == "true";
}

std::chrono::milliseconds Settings::duration(std::string_view key) const {
    return parse_duration(text(key));
}

std::chrono::milliseconds parse_duration(std::string_view text) {
    auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    auto suffix = text.substr(digits.size());
    std::int64_t count = 0;
    for (const Unit& unit : units) {
        if (suffix != unit.suffix || !parse_integer(digits, count)) continue;
        if (count > std::numeric_limits<std::int64_t>::max() / unit.ms / 1000) break;
        return std::chrono::milliseconds(count * unit.ms);
    }
    throw std::invalid_argument(
        "\"" + std::string(text) + "\" is not a duration such as 250ms, 30s, 10m, 2h or 7d"
    );
}

}  // namespace souk
