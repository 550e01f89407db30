// How this process logs: which lines, and in what form.
#pragma once

#include <string_view>

namespace souk::observe {

/// `level`: debug, info, warn or error. `format`: json, text, or auto (text when standard error is
/// a terminal). Colour only on a terminal, and not when NO_COLOR is set (no-color.org). Throws
/// std::invalid_argument for other words.
void configure_logging(std::string_view level, std::string_view format);

/// Waits up to a second until all lines are written: before the process ends by other ways than
/// returning from main().
void flush_logs();

}  // namespace souk::observe
