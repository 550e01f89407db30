// The HTTP way to a peer: `souk::Remote` over pools of kept connections to several addresses, with
// the caller's deadline, retries from a budget and a breaker. See README.md.
#pragma once

#include "peers/lane.hpp"
#include "peers/resolver.hpp"
#include "souk/metrics.hpp"
#include "souk/remote.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souk::http {
class Tls;
}

namespace souk::peers {

struct RemoteOptions {
    std::string module;              // "product": the path and the metrics' label
    std::string addresses;           // "http://a:18000,http://b:18000"; https with `tls`
    std::string peer_key;            // in development instead of a certificate
    std::shared_ptr<http::Tls> tls;  // of Side::client
    LaneOptions lane;                // limits a thread
    milliseconds resolve_every{5'000};
};

class HttpRemote : public Remote {
public:
    /// `threads`: all contexts from which calls will come; the first one looks names up. All else
    /// must outlive it. Errors: `invalid` "bad_peer_address", `invalid` "peer_tls" (https without
    /// certificates).
    static Result<std::unique_ptr<HttpRemote>> make(
        RemoteOptions options,
        std::vector<Executor> threads,
        Clock& clock,
        Metrics& metrics,
        Resolver& resolver
    );
    /// Ends what is under way and in the background, and refuses what comes. Before the destructor,
    /// unless the contexts have ended.
    virtual Task<void> stop() = 0;
};

}  // namespace souk::peers
