// Structured logging: a message, and fields that stay fields. One JSON object a line on standard
// error, or readable text on a terminal. Never log secrets, card numbers, bodies or tokens.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace souk {

enum class Level : std::uint8_t { debug, info, warn, error };

struct LogField {
    LogField(std::string_view key, std::string_view value) : key(key), value(std::string(value)) {}
    LogField(std::string_view key, const char* value) : key(key), value(std::string(value)) {}
    LogField(std::string_view key, const std::string& value) : key(key), value(value) {}
    template <class I>
        requires std::is_integral_v<I>
    LogField(std::string_view key, I value) : key(key), value(static_cast<std::int64_t>(value)) {}
    std::string_view key;
    std::variant<std::string, std::int64_t> value;
};

/// Cheap to copy; knows its module's name. Does not block on the terminal or disk.
class Logger {
public:
    explicit Logger(std::string_view component) : component_(component) {}
    void debug(std::string_view m, std::initializer_list<LogField> f = {}) const {
        log(Level::debug, m, f);
    }
    void info(std::string_view m, std::initializer_list<LogField> f = {}) const {
        log(Level::info, m, f);
    }
    void warn(std::string_view m, std::initializer_list<LogField> f = {}) const {
        log(Level::warn, m, f);
    }
    void error(std::string_view m, std::initializer_list<LogField> f = {}) const {
        log(Level::error, m, f);
    }
    void log(Level level, std::string_view message, std::initializer_list<LogField> fields) const;

private:
    std::string component_;
};

}  // namespace souk
