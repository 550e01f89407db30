// The rules of the tree as pure functions over a path and a text, so that planted violations can be
// shown to be found: who may include what (DESIGN §2), and the forms that GCC 12 compiles wrongly
// (see include/souk/async.hpp).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace souk::architecture {

struct Tree {
    std::map<std::string, std::set<std::string>> peers;  // module → PEERS of its CMakeLists.txt
};

/// "path: why", one for each fault; `path` is relative to the root of the project.
std::vector<std::string> include_faults(
    const Tree& tree, std::string_view path, std::string_view text
);
std::vector<std::string> coroutine_faults(std::string_view path, std::string_view text);

}  // namespace souk::architecture
