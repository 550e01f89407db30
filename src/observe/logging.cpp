#include "observe/logging.hpp"

#include "base/log_sink.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace souk::observe {
namespace {

using base::LogFormat;

Level parse_level(std::string_view word) {
    if (word == "debug") return Level::debug;
    if (word == "info") return Level::info;
    if (word == "warn") return Level::warn;
    if (word == "error") return Level::error;
    throw std::invalid_argument("log.level: not a level: " + std::string(word));
}

bool wants_colour() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    bool refused = no_color != nullptr && *no_color != '\0';
    return !refused && term != nullptr && std::string_view(term) != "dumb";
}

LogFormat parse_format(std::string_view word) {
    bool terminal = ::isatty(STDERR_FILENO) == 1;
    if (word == "json" || (word == "auto" && !terminal)) return LogFormat::json;
    if (word != "text" && word != "auto")
        throw std::invalid_argument("log.format: not a format: " + std::string(word));
    return terminal && wants_colour() ? LogFormat::coloured_text : LogFormat::text;
}

}  // namespace

void configure_logging(std::string_view level, std::string_view format) {
    Level parsed_level = parse_level(level);
    LogFormat parsed_format = parse_format(format);
    base::LogSink& sink = base::LogSink::instance();
    sink.set_level(parsed_level);
    sink.set_format(parsed_format);
}

void flush_logs() {
    base::LogSink::instance().flush(std::chrono::seconds(1));
}

}  // namespace souk::observe
