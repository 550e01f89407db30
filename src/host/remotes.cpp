#include "host/remotes.hpp"

#include "host/plan.hpp"
#include "host/route_table.hpp"
#include "http/client.hpp"
#include "peers/address.hpp"
#include "peers/wire.hpp"

#include <fmt/format.h>

namespace souk::host {
namespace {

/// Until src/gateway/forward.* is here: a connection a request, nothing streams.
http::Route forwarded(
    http::Route route, const std::string& address, const Credentials& credentials, Clock& clock
) {
    auto to = peers::parse_addresses(address).value().front();
    http::ClientTarget target;
    target.host = to.host;
    target.port = to.port;
    target.tls = to.tls ? credentials.tls : nullptr;
    route.handler = [target, key = credentials.shared_key, &clock](
                        const CallContext& ctx, const http::Request& request
                    ) -> Task<Result<http::Response>> {
        Executor executor = co_await this_executor();
        http::Client client(executor, target);
        auto headers = peers::call_headers(ctx, key);
        for (const char* name : {"Idempotency-Key", "If-Match", "If-None-Match", "Content-Type"})
            if (request.headers.has(name)) headers.set(name, request.headers.get(name));
        auto answer = co_await client.send(
            request.method, request.target, headers, request.body, clock, ctx.deadline
        );
        if (!answer) co_return unavailable("module_unavailable", "This part of the shop is away.");
        http::Response response(
            answer->status, std::string(answer->headers.get("Content-Type")), answer->body
        );
        for (const char* name : {"ETag", "Cache-Control", "Idempotency-Replayed", "Retry-After"})
            if (answer->headers.has(name)) response.headers.set(name, answer->headers.get(name));
        co_return response;
    };
    return route;
}

}  // namespace

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
        for (http::Route& route : route_table(*info, config, threads.front(), clock))
            peer.table.push_back(
                forwarded(std::move(route), peer_address(config, info->name), credentials, clock)
            );
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
