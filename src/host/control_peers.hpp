// How commands reach a split shop: over HTTP, as a peer does, at the internal listeners that
// `[peers]` names, with the operator's credential of `[internal]`. See control.hpp.
#pragma once

#include "host/control.hpp"
#include "host/credentials.hpp"
#include "http/client.hpp"
#include "peers/address.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// Whether `config` names any peer: then commands go there and nowhere else.
bool has_peers(const Config& config, const std::vector<const ModuleInfo*>& available);

/// Which of `available` a request is for: "/internal/order/audit" and "/api/orders" are for order.
/// Null: none's.
const ModuleInfo* module_of(std::string_view path, const std::vector<const ModuleInfo*>& available);

/// How to reach `address`. Errors: `invalid` "config" (https without certificates).
Result<http::ClientTarget> peer_target(
    const peers::Address& address, const Credentials& credentials
);
/// "https://order-service:13003"
std::string url_of(const peers::Address& address);
/// The fields that say whose request it is, where no certificate does.
void prove_operator(http::Headers& headers, const Credentials& credentials);

/// Connects with the first request. Dead letters, which each process tells of its own modules, are
/// asked of all and come as one list. Errors: `invalid` "config" (no credential; a bad address),
/// those of Credentials::load. Its send() has besides those of http::Client: `invalid` "config"
/// when the module has no address, `forbidden` "peer_refused" when it does not take us for the
/// operator, each with what to set.
Result<std::unique_ptr<ControlClient>> connect_peers(
    Executor executor, const Config& config, std::vector<const ModuleInfo*> available, Clock& clock
);

}  // namespace souk::host
