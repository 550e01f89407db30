// The part of the diagnosis that asks the other processes of a split shop.
#pragma once

#include "host/diagnosis.hpp"

namespace souk::host {

/// The files by which the processes of a split shop believe each other, and every address in
/// `[peers]`: who answers there, and whether they take this configuration's credential. A part of
/// the shop asks those only that it calls, for the others need not let it in. Empty when none of
/// these is set.
Task<std::vector<Check>> check_peers(Config config, Plan plan, Executor executor, Clock& clock);

}  // namespace souk::host
