// Where log lines go: one bounded buffer a process and one thread that writes it to a descriptor,
// so that no thread that logs waits for a terminal, a disk or a reader that sleeps. When the buffer
// is full its oldest half is dropped, counted, and the loss is written in its place.
#pragma once

#include "souk/clock.hpp"
#include "souk/log.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace souk::base {

enum class LogFormat : std::uint8_t { json, text, coloured_text };

/// One line with its end. No input can forge a second line or reach the terminal as a command:
/// control characters are escaped and what is not UTF-8 is replaced.
std::string format_log_line(
    LogFormat format,
    Timestamp time,
    Level level,
    std::string_view component,
    std::string_view message,
    std::initializer_list<LogField> fields
);

class LogSink {
public:
    /// That of this process, on standard error.
    static LogSink& instance();

    /// `max_bytes`: how much may wait to be written.
    LogSink(int descriptor, std::size_t max_bytes);
    ~LogSink();  // writes what waits, unless the reader has stopped reading
    LogSink(const LogSink&) = delete;
    LogSink& operator=(const LogSink&) = delete;

    void set_level(Level level);
    bool enabled(Level level) const;
    void set_format(LogFormat format);
    LogFormat format() const;

    void write(std::string_view line, Level level);
    /// Waits until all that was written so far is handed over. False when `patience` ran out first.
    bool flush(std::chrono::milliseconds patience);
    /// Lines lost since the start.
    std::uint64_t dropped() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace souk::base
