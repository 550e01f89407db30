#include "host/remotes.hpp"

#include "gateway/forward.hpp"
#include "host/plan.hpp"
#include "host/route_table.hpp"

#include <fmt/format.h>

namespace souk::host {

Result<void> Remotes::connect(
    const Config& config,
    const std::vector<const ModuleInfo*>& modules,
    const Credentials& credentials,
    std::vector<Executor> threads,
    Clock& clock,
    Metrics& metrics,
    PeerTable& table
) {
    resolver_ = peers::make_system_resolver();
    for (const ModuleInfo* info : modules) {
        peers::RemoteOptions options;
        options.module = info->name;
        options.addresses = peer_address(config, info->name);
        options.peer_key = credentials.shared_key;
        options.tls = credentials.tls;
        auto remote =
            peers::HttpRemote::make(std::move(options), threads, clock, metrics, *resolver_);
        if (!remote) {
            Error error = remote.error();
            error.detail = fmt::format("peers.{}: {}", info->name, error.detail);
            return error;
        }
        Peer peer{info, std::move(*remote), nullptr, {}};
        if (info->connect != nullptr) {
            peer.api = info->connect(*peer.remote);
            table.provide(info->name, peer.api.get());
        }
        peer.table = route_table(*info, config, threads.front(), clock);
        for (http::Route& route : peer.table)
            route = gateway::forwarded(std::move(route), peer.remote->pool(), clock);
        peers_.push_back(std::move(peer));
    }
    return {};
}

http::Routes Remotes::routes(const ModuleInfo& module) const {
    for (const Peer& peer : peers_)
        if (peer.info == &module) return peer.table;
    return {};
}

Task<void> Remotes::stop() {
    for (const Peer& peer : peers_)
        co_await peer.remote->stop();
}

}  // namespace souk::host
