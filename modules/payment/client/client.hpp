// payment::Api between processes: both ends, from the one description in client.cpp.
#pragma once

#include "souk/http.hpp"
#include "souk/payment/api.hpp"

#include <memory>

namespace souk {
class Remote;
}

namespace souk::payment::client {

/// The Api over `remote`, which outlives it; points to an Api (ModuleInfo::connect).
std::shared_ptr<void> connect(Remote& remote);
/// `routes`, and behind them those that serve `api` to such clients.
http::Routes serve(Api& api, http::Routes routes);

}  // namespace souk::payment::client
