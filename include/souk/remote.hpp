// How a module's Api is reached when the module runs in another process: its client/ turns each
// call into a name and a JSON value, and a Remote, which the host owns, carries both there and an
// answer back (HTTP, a pool of connections, retries; src/peers).
#pragma once

#include "souk/async.hpp"
#include "souk/context.hpp"
#include "souk/error.hpp"
#include "souk/json.hpp"

#include <string_view>

namespace souk {

class Remote {
public:
    virtual ~Remote() = default;
    /// Calls `method` of the module's Api. `arguments` is an object, a member an argument; the
    /// result is what the method's own is as JSON (null for void). The context's deadline,
    /// identity, request id and trace travel along. Errors: the Api's own, as they were made there;
    /// `unavailable` "peer_unavailable" (may have executed), `timeout`.
    virtual Task<Result<json::value>> call(
        std::string_view method, json::value arguments, const CallContext& ctx
    ) = 0;
};

}  // namespace souk
