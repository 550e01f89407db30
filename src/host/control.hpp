// How commands reach the shop. When any address in `[peers]` is set the shop is split: each request
// goes to the process of its module. Else it is the shop in the data folder: through the control
// socket of the server that runs there, or, when none does, by opening it in this process (which
// then owns the folder until close()). Each way the caller is the operator: Identity("system",
// {"admin"}), allowed to call public and internal routes.
#pragma once

#include "host/config.hpp"
#include "souk/clock.hpp"
#include "souk/http.hpp"
#include "souk/metrics.hpp"
#include "souk/module.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souk::host {

class Host;

class ControlClient {
public:
    /// Opens on `executor`, whose context the caller runs; the data folder is `config`'s data.dir.
    /// `available`: souk::modules(). Errors: those of Host::open; `unavailable` "connect" when the
    /// owner of the folder does not answer; those of connect_peers().
    static Task<Result<std::unique_ptr<ControlClient>>> open(
        Executor executor,
        Config config,
        std::vector<const ModuleInfo*> available,
        Clock& clock,
        Metrics& metrics
    );

    /// To a host that is open in this process and outlives the client; close() leaves it alone.
    static std::unique_ptr<ControlClient> on(Host& host);

    virtual ~ControlClient() = default;
    /// `headers`: beside Content-Type and, for POST, an Idempotency-Key of its own when none is
    /// given. An HTTP status of any kind is a success here, but over peers a refusal to take us for
    /// the operator. Errors: those of http::Client::send, over peers those of connect_peers().
    virtual Task<Result<http::Response>> send(
        http::Method method, std::string target, std::string body = {}, http::Headers headers = {}
    ) = 0;
    /// True when the shop runs in this process, not in a server.
    virtual bool in_process() const = 0;
    /// Await before the client goes.
    virtual Task<void> close() = 0;
};

/// What every way adds to a request that lacks it.
void complete_request(http::Method method, const std::string& body, http::Headers& headers);

}  // namespace souk::host
