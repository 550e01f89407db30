#include "host/config.hpp"

#include "host/server_url.hpp"
#include "host/toml.hpp"
#include "host/words.hpp"
#include "souk/embedded.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>

namespace souk::embedded {
std::span<const File> config();
}

namespace souk::host {
namespace {

namespace ip = boost::asio::ip;
using Values = std::map<std::string, ConfigValue, std::less<>>;

bool is_duration(std::string_view text) {
    try {
        parse_duration(text);
        return true;
    } catch (const std::invalid_argument&) {
        return false;
    }
}

std::optional<std::int64_t> to_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

SettingType type_of_default(const TomlEntry& entry) {
    switch (entry.type) {
        case TomlType::integer:
            return SettingType::integer;
        case TomlType::boolean:
            return SettingType::boolean;
        case TomlType::text:
            return is_duration(entry.value) ? SettingType::duration : SettingType::text;
        case TomlType::other:
            break;
    }
    throw std::logic_error("config/souk.toml: '" + entry.key + "' has a type that settings lack");
}

Values read_schema() {
    const auto entries = read_toml(souk::embedded::config().front().content);
    if (!entries) throw std::logic_error("config/souk.toml: " + entries.error().detail);
    Values values;
    for (const TomlEntry& entry : *entries) {
        ConfigValue& value = values[entry.key];
        value.type = type_of_default(entry);
        value.value = entry.value;
        value.origin = "default";
    }
    return values;
}

/// The defaults: which settings there are, and their types.
const Values& schema() {
    static const Values values = read_schema();
    return values;
}

std::vector<std::string> known_keys() {
    std::vector<std::string> keys;
    for (const auto& [key, value] : schema())
        keys.push_back(key);
    return keys;
}

bool ends_with_name(std::string_view key, std::string_view name) {
    return key.ends_with(name) &&
           (key.size() == name.size() || key[key.size() - name.size() - 1] == '.');
}

std::string integer_fault(
    std::string_view key, const std::string& fallback, const std::string& value
) {
    const auto number = to_integer(value);
    if (!number) return fmt::format("'{}' is not an integer, such as {}", value, fallback);
    if (ends_with_name(key, "port")) {
        if (*number < 0 || *number > 65535)
            return fmt::format("{} is not a port: 0 to 65535", *number);
        return {};
    }
    // A default of 0 means "none" or "choose yourself"; where it is not 0, nothing works with 0.
    const std::int64_t least = fallback == "0" ? 0 : 1;
    if (*number < least) return fmt::format("{} is too small: at least {}", *number, least);
    return {};
}

std::string duration_fault(const std::string& fallback, const std::string& value) {
    if (!is_duration(value))
        return fmt::format("'{}' is not a duration, such as 250ms, 30s, 10m, 2h, 7d", value);
    if (parse_duration(value).count() == 0 && parse_duration(fallback).count() != 0)
        return fmt::format("'{}' is too short: more than 0", value);
    return {};
}

std::string choice_fault(const std::string& value, std::initializer_list<const char*> choices) {
    std::string list;
    for (const char* choice : choices) {
        if (value == choice) return {};
        list += list.empty() ? choice : fmt::format(", {}", choice);
    }
    return fmt::format("'{}' is none of {}", value, list);
}

bool is_network(const std::string& text) {
    boost::system::error_code error;
    ip::make_network_v4(text, error);
    if (error) ip::make_network_v6(text, error);
    return !error;
}

std::string networks_fault(const std::string& value) {
    for (std::size_t begin = 0; begin < value.size();) {
        const std::size_t comma = std::min(value.find(',', begin), value.size());
        std::string one = value.substr(begin, comma - begin);
        std::erase(one, ' ');
        if (!is_network(one)) return fmt::format("'{}' is not a network, such as 10.0.0.0/8", one);
        begin = comma + 1;
    }
    return {};
}

std::string text_fault(std::string_view key, const std::string& value) {
    if (key == "log.level") return choice_fault(value, {"debug", "info", "warn", "error"});
    if (key == "log.format") return choice_fault(value, {"json", "text", "auto"});
    if (key == "http.trusted_proxies") return networks_fault(value);
    if (key == "data.dir" && value.empty()) return "a folder is needed";
    if (key.ends_with("url")) return server_url_fault(key, value);
    if (ends_with_name(key, "address")) {
        boost::system::error_code error;
        ip::make_address(value, error);
        if (error)
            return fmt::format(
                "'{}' is not an IP address, such as 127.0.0.1, 0.0.0.0 or ::", value
            );
    }
    return {};
}

/// What is wrong with `value` for `key`; empty when nothing is.
std::string value_fault(
    std::string_view key, const ConfigValue& fallback, const std::string& value
) {
    switch (fallback.type) {
        case SettingType::integer:
            return integer_fault(key, fallback.value, value);
        case SettingType::boolean:
            return value == "true" || value == "false"
                       ? std::string()
                       : fmt::format("'{}' is neither true nor false", value);
        case SettingType::duration:
            return duration_fault(fallback.value, value);
        case SettingType::text:
            return text_fault(key, value);
    }
    return {};
}

bool same_type(TomlType given, SettingType wanted) {
    switch (wanted) {
        case SettingType::integer:
            return given == TomlType::integer;
        case SettingType::boolean:
            return given == TomlType::boolean;
        default:
            return given == TomlType::text;
    }
}

std::string_view name_of(SettingType type) {
    switch (type) {
        case SettingType::integer:
            return "an integer";
        case SettingType::boolean:
            return "true or false";
        case SettingType::duration:
            return "a duration in quotes";
        case SettingType::text:
            return "text in quotes";
    }
    return {};
}

/// The layers above the defaults, each laid over what is there.
class Layers {
public:
    Layers() : values_(schema()) {}

    void add_file(const std::string& file);
    void add_environment(const std::string& name, const std::string& value);
    void add_flag(const ConfigFlag& flag);
    /// What values say together. Call last.
    void check_servers();

    Values take() && { return std::move(values_); }
    std::vector<FieldError> faults;

private:
    void fault(const std::string& origin, std::string detail) {
        faults.emplace_back(origin, "config", std::move(detail));
    }
    /// The setting of that name; reports and gives null when there is none.
    ConfigValue* find(const std::string& key, const std::string& origin);
    void set(const std::string& key, ConfigValue& setting, std::string value, std::string origin);

    /// Whether it was, rightly or wrongly.
    bool is_set(const char* key) const {
        return faulty_.contains(key) || !values_.find(key)->second.value.empty();
    }

    Values values_;
    std::map<std::string, std::string> variables_;  // key → the variable that set it
    std::set<std::string> faulty_;                  // keys that were given a wrong value
};

ConfigValue* Layers::find(const std::string& key, const std::string& origin) {
    const auto it = values_.find(key);
    if (it != values_.end()) return &it->second;
    fault(origin, fmt::format("there is no setting '{}'{}", key, did_you_mean(key, known_keys())));
    return nullptr;
}

void Layers::set(
    const std::string& key, ConfigValue& setting, std::string value, std::string origin
) {
    const std::string why = value_fault(key, schema().find(key)->second, value);
    if (!why.empty()) {
        fault(origin, fmt::format("{}: {}", key, why));
        faulty_.insert(key);
        return;
    }
    setting.value = std::move(value);
    setting.origin = std::move(origin);
}

void Layers::add_file(const std::string& file) {
    std::ifstream in;
    if (!std::filesystem::is_directory(file)) in.open(file, std::ios::binary);
    if (!in.is_open()) {
        fault(file, "cannot read this file");
        return;
    }
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    const auto entries = read_toml(content);
    if (!entries) {
        fault(file, entries.error().detail);
        return;
    }
    for (const TomlEntry& entry : *entries) {
        const std::string origin = fmt::format("{}:{}", file, entry.line);
        ConfigValue* setting = find(entry.key, origin);
        if (setting == nullptr) continue;
        if (same_type(entry.type, setting->type))
            set(entry.key, *setting, entry.value, origin);
        else
            fault(origin, fmt::format("{}: must be {}", entry.key, name_of(setting->type)));
    }
}

/// The setting that a variable of the environment means; empty when it is not ours.
std::string key_of_variable(const std::string& name) {
    // By these names operators and platforms hand servers over.
    if (name == "DATABASE_URL") return "postgres.url";
    if (name == "REDIS_URL") return "redis.url";
    if (name == "RABBITMQ_URL") return "rabbitmq.url";
    // One underscore is not ours: Kubernetes injects SOUK_PORT=tcp://... for a service named souk.
    constexpr std::string_view prefix = "SOUK__";
    if (!name.starts_with(prefix)) return {};
    std::string key;
    for (std::size_t i = prefix.size(); i < name.size(); ++i) {
        if (name.compare(i, 2, "__") == 0) {
            key += '.';
            ++i;
        } else {
            key += name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] + 32) : name[i];
        }
    }
    return key;
}

void Layers::add_environment(const std::string& name, const std::string& value) {
    const std::string key = key_of_variable(name);
    // Platforms hand over empty variables of servers that there are not.
    if (key.empty() || (value.empty() && name.ends_with("_URL") && !name.starts_with("SOUK__")))
        return;
    ConfigValue* setting = find(key, name);
    if (setting == nullptr) return;
    const auto [other, first] = variables_.emplace(key, name);
    if (!first && setting->value != value) {
        fault(name, fmt::format("{}: {} says something else; unset one", key, other->second));
        return;
    }
    set(key, *setting, value, name);
}

void Layers::add_flag(const ConfigFlag& flag) {
    const std::size_t equals = flag.assignment.find('=');
    if (equals == std::string::npos) {
        fault(flag.origin, fmt::format("'{}' is not section.key=value", flag.assignment));
        return;
    }
    const std::string key = flag.assignment.substr(0, equals);
    if (ConfigValue* setting = find(key, flag.origin))
        set(key, *setting, flag.assignment.substr(equals + 1), flag.origin);
}

void Layers::check_servers() {
    const bool postgres = is_set("postgres.url");
    const bool rabbitmq = is_set("rabbitmq.url");
    if (postgres && !rabbitmq)
        fault(
            "rabbitmq.url",
            "postgres.url is set, and the embedded bus works on SQLite only: set RABBITMQ_URL as "
            "well, or unset postgres.url (DATABASE_URL)"
        );
    if (rabbitmq && !postgres)
        fault(
            "postgres.url",
            "rabbitmq.url is set, and the embedded databases belong to one process, whose bus is "
            "embedded, too: set DATABASE_URL as well, or unset rabbitmq.url (RABBITMQ_URL)"
        );
    if (!postgres && is_set("postgres.replica_url"))
        fault("postgres.replica_url", "it is set, but postgres.url, whose replica it is, is not");
}

std::map<std::string, std::string, std::less<>> below(
    const Values& values, std::string_view prefix
) {
    std::map<std::string, std::string, std::less<>> out;
    for (const auto& [key, value] : values)
        if (key.starts_with(prefix)) out.emplace(key.substr(prefix.size()), value.value);
    return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> process_environment() {
    std::vector<std::pair<std::string, std::string>> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos)
            out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    std::sort(out.begin(), out.end());
    return out;
}

Result<Config> Config::load(const ConfigInput& input) {
    Layers layers;
    if (!input.file.empty()) layers.add_file(input.file);
    for (const auto& [name, value] : input.environment)
        layers.add_environment(name, value);
    for (const ConfigFlag& flag : input.flags)
        layers.add_flag(flag);
    layers.check_servers();
    if (!layers.faults.empty())
        return all_faults("config", "the configuration has faults:", std::move(layers.faults));
    Config config;
    config.values_ = std::move(layers).take();
    config.all_ = Settings(below(config.values_, ""));
    return config;
}

Settings Config::section(std::string_view section) const {
    return Settings(below(values_, std::string(section) + '.'));
}

std::string masked(std::string_view key, const std::string& value) {
    constexpr std::string_view mask = "***";
    const bool secret = key.find("password") != std::string_view::npos ||
                        key.find("secret") != std::string_view::npos ||
                        key.find("token_key") != std::string_view::npos || key.ends_with("_key");
    if (secret) return value.empty() ? std::string() : std::string(mask);
    const std::size_t scheme = value.find("://");
    if (scheme == std::string::npos) return value;
    std::string shown = value;
    // To the last '@': a password may hold anything, and masking too much does no harm.
    const std::size_t begin = scheme + 3;
    const std::size_t at = shown.rfind('@');
    if (at != std::string::npos && at >= begin) shown.replace(begin, at - begin, mask);
    // libpq takes passwords (password=, sslpassword=) as parameters as well.
    constexpr std::string_view parameter = "password=";
    for (std::size_t from = 0; (from = shown.find(parameter, from)) != std::string::npos;) {
        from += parameter.size();
        const std::size_t end = std::min(shown.find('&', from), shown.size());
        shown.replace(from, end - from, mask);
    }
    return shown;
}

}  // namespace souk::host
