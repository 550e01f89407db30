// Reads the audit pages of all modules, orders first (see Books), over the control client.
#pragma once

#include "cli/verify/judge.hpp"
#include "host/control.hpp"
#include "souk/async.hpp"
#include "souk/error.hpp"

namespace souk::cli {

/// Errors: those of the client; `internal` "bad_audit" for an answer that is no audit page.
Task<Result<Books>> read_books(host::ControlClient& shop);

}  // namespace souk::cli
