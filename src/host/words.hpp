// Small helpers for messages to people.
#pragma once

#include "souk/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// "; did you mean 'http.port'?" for the candidate that `word` is most likely a slip of; else
/// empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// One error out of many faults: its detail has a line for each, its fields each fault by itself.
Error all_faults(std::string code, std::string_view title, std::vector<FieldError> faults);

}  // namespace souk::host
