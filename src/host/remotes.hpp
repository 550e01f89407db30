// The modules that are called here and run elsewhere: a pool of connections to each, their Apis for
// the peers of this process, and their public routes for its gateway.
#pragma once

#include "host/config.hpp"
#include "host/credentials.hpp"
#include "peers/http_remote.hpp"
#include "souk/module.hpp"

#include <memory>
#include <vector>

namespace souk::host {

class Remotes {
public:
    /// Provides each module's Api to `table`. Nothing is asked of a peer yet: it may start later.
    /// Errors: `invalid` "bad_peer_address", "peer_tls" with the setting.
    Result<void> connect(
        const Config& config,
        const std::vector<const ModuleInfo*>& modules,
        const Credentials& credentials,
        std::vector<Executor> threads,
        Clock& clock,
        Metrics& metrics,
        PeerTable& table
    );
    /// What `module` serves the public; each request is sent on to it.
    http::Routes routes(const ModuleInfo& module) const;
    Task<void> stop();

private:
    struct Peer {
        const ModuleInfo* info;
        std::unique_ptr<peers::HttpRemote> remote;
        std::shared_ptr<void> api;  // null: the module has none
        http::Routes table;
    };
    std::unique_ptr<peers::Resolver> resolver_;
    std::vector<Peer> peers_;
};

}  // namespace souk::host
