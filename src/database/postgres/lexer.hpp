// As much of PostgreSQL's grammar as it takes to find where a statement ends and which parameters
// it has: quotes, dollar quotes, comments. The bodies of functions stand in dollar quotes (not in
// BEGIN ATOMIC).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace souk::database::postgres {

/// The statements of a script, each without its semicolon; those of nothing but comments are left
/// out.
std::vector<std::string> split_script(std::string_view script);

/// The N of the highest `$N`; 0 when there is none.
std::size_t highest_parameter(std::string_view sql);

}  // namespace souk::database::postgres
