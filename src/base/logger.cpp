// Logger, and how a line looks.
#include "base/log_sink.hpp"
#include "base/utf8.hpp"
#include "souk/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace souk::base {
namespace {

constexpr std::string_view names[] = {"debug", "info", "warn", "error"};
constexpr std::string_view colours[] = {"\x1b[90m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};

std::string_view name_of(Level level) {
    return names[static_cast<std::size_t>(level)];
}

void append_escape(std::string& out, char32_t c, LogFormat format) {
    switch (c) {
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            break;
    }
    if (format == LogFormat::json || c > 0xff) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(c));
    }
}

/// C0, DEL and C1 steer terminals; U+2028 and U+2029 are line ends to some readers.
bool must_escape(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
}

/// Printable ASCII that stands for itself in both formats.
bool is_plain(char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void append_escaped(std::string& out, std::string_view text, LogFormat format) {
    for (;;) {
        const auto special = std::find_if_not(text.begin(), text.end(), is_plain);
        const auto plain = static_cast<std::size_t>(special - text.begin());
        out.append(text, 0, plain);
        text.remove_prefix(plain);
        if (text.empty()) return;
        Utf8Step step = next_code_point(text);
        if (must_escape(step.code_point)) {
            append_escape(out, step.code_point, format);
        } else if (step.valid) {
            if (step.code_point == '"' || step.code_point == '\\') out += '\\';
            out += text.substr(0, step.size);
        } else {
            out += "\xef\xbf\xbd";
        }
        text.remove_prefix(step.size);
    }
}

void append_json_member(std::string& out, std::string_view key, std::string_view value) {
    out += ",\"";
    append_escaped(out, key, LogFormat::json);
    out += "\":\"";
    append_escaped(out, value, LogFormat::json);
    out += '"';
}

void append_json_field(std::string& out, const LogField& field) {
    if (const auto* text = std::get_if<std::string>(&field.value)) {
        append_json_member(out, field.key, *text);
        return;
    }
    out += ",\"";
    append_escaped(out, field.key, LogFormat::json);
    const fmt::format_int number(std::get<std::int64_t>(field.value));
    out.append("\":").append(number.data(), number.size());
}

void append_text_field(std::string& out, const LogField& field) {
    out += ' ';
    append_escaped(out, field.key, LogFormat::text);
    out += '=';
    if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
        fmt::format_to(std::back_inserter(out), "{}", *number);
        return;
    }
    const std::string& value = std::get<std::string>(field.value);
    bool quoted = value.empty() || value.find_first_of(" =\"\\") != std::string::npos;
    if (quoted) out += '"';
    append_escaped(out, value, LogFormat::text);
    if (quoted) out += '"';
}

}  // namespace

std::string format_log_line(
    LogFormat format,
    Timestamp time,
    Level level,
    std::string_view component,
    std::string_view message,
    std::initializer_list<LogField> fields
) {
    std::string out;
    out.reserve(320 + message.size());
    if (format == LogFormat::json) {
        out.append("{\"time\":\"").append(to_rfc3339(time)).append("\"");
        append_json_member(out, "level", name_of(level));
        append_json_member(out, "component", component);
        append_json_member(out, "message", message);
        for (const LogField& field : fields)
            append_json_field(out, field);
        return out += "}\n";
    }
    bool coloured = format == LogFormat::coloured_text;
    out += to_rfc3339(time) + ' ';
    if (coloured) out += colours[static_cast<std::size_t>(level)];
    fmt::format_to(std::back_inserter(out), "{:<5}", name_of(level));
    if (coloured) out += "\x1b[0m";
    out += " [";
    append_escaped(out, component, LogFormat::text);
    out += "] ";
    append_escaped(out, message, LogFormat::text);
    for (const LogField& field : fields)
        append_text_field(out, field);
    return out += '\n';
}

}  // namespace souk::base

namespace souk {

void Logger::log(Level level, std::string_view message, std::initializer_list<LogField> fields)
    const {
    base::LogSink& sink = base::LogSink::instance();
    if (!sink.enabled(level)) return;
    auto now = std::chrono::floor<microseconds>(std::chrono::system_clock::now());
    sink.write(
        base::format_log_line(sink.format(), now, level, component_, message, fields), level
    );
}

}  // namespace souk
