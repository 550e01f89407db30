// Named points at which a test can make the process die, fail or wait, since random kills miss the
// windows that matter. Compiled in with SOUK_FAILPOINTS (preset dev), otherwise nothing is left of
// them. Armed by the environment of the process: SOUK_FAILPOINTS="order.after_commit=crash@3,..."
// (crash on the third pass; also `error`, `sleep:MS`), or from a test with `failpoint::arm`.
#pragma once

#include <string_view>

namespace souk::failpoint {

#ifdef SOUK_FAILPOINTS
/// True when the point is armed with `error` and its turn has come; kills the process or sleeps
/// otherwise as armed.
bool hit(std::string_view name);
/// `action`: "crash", "error", "sleep:MS", each with an optional "@N" (from the Nth pass on for
/// `error` and `sleep`); "off" disarms.
void arm(std::string_view name, std::string_view action);
#else
constexpr bool hit(std::string_view) {
    return false;
}
#endif

}  // namespace souk::failpoint
