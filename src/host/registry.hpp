// Every module compiled into this binary, in the order of modules/CMakeLists.txt. The function's
// body is generated there.
#pragma once

#include "souk/module.hpp"

#include <vector>

namespace souk {

const std::vector<const ModuleInfo*>& modules();

}  // namespace souk
