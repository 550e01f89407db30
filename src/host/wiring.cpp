#include "host/wiring.hpp"

#include "host/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace souk::host {
namespace {

constexpr std::string_view kernel = "souk";  // whose routes the host's own are

bool listens_to(const std::vector<Subscription>& subscriptions, std::string_view type) {
    return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const Subscription& one) {
        return one.type == type;
    });
}

bool declares(const std::vector<std::string_view>& types, std::string_view type) {
    return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

Peers& Wiring::peers_of(const ModuleInfo& info, PeerTable& table) {
    return views_.emplace_back(table, info.name, info.calls);
}

void Wiring::create(const ModuleInfo& info, ModuleDeps deps) {
    try {
        Loaded loaded{&info, info.create(std::move(deps)), {}};
        loaded_.push_back(std::move(loaded));
    } catch (const std::exception& e) {
        fault(info.name, e.what());
    }
}

void Wiring::add_host_routes(http::Routes routes) {
    add(public_router, kernel, routes);
    add(control_router, kernel, routes);
    add(metrics_router, kernel, std::move(routes));
}

void Wiring::add_public_routes(http::Routes routes) {
    add(public_router, kernel, routes);
    add(control_router, kernel, std::move(routes));
}

void Wiring::add_metrics_routes(http::Routes routes) {
    add(metrics_router, kernel, std::move(routes));
}

void Wiring::add_operator_routes(http::Routes routes) {
    add(internal_router, kernel, routes);
    add(control_router, kernel, std::move(routes));
}

void Wiring::add_remote_routes(const ModuleInfo& info, http::Routes routes) {
    check_prefix(info.name, routes, "/api/");
    add(public_router, info.name, std::move(routes));
}

Result<void> Wiring::finish(const PeerTable& peers, const Plan& plan) {
    for (Loaded& loaded : loaded_) {
        lay_routes(loaded);
        loaded.subscriptions = loaded.module->subscriptions();
        check_subscriptions(loaded);
        for (std::string_view peer : loaded.info->calls)
            if (peers.find(peer) == nullptr)
                fault(
                    loaded.info->name,
                    fmt::format("calls '{}', which provides no Api to its peers", peer)
                );
    }
    if (plan.gateway && peers.find(gateway_calls) == nullptr)
        fault(
            gateway_name,
            fmt::format("calls '{}', which provides no Api to its peers", gateway_calls)
        );
    if (!faults_.empty())
        return all_faults("modules", "these modules do not fit together:", std::move(faults_));
    return Result<void>();
}

std::vector<Subscription> Wiring::take_subscriptions(std::size_t index) {
    return std::move(loaded_[index].subscriptions);
}

void Wiring::lay_routes(const Loaded& loaded) {
    const std::string_view name = loaded.info->name;
    http::Routes routes = loaded.module->routes();
    http::Routes internal = loaded.module->internal_routes();
    check_prefix(name, routes, "/api/");
    check_prefix(name, internal, fmt::format("/internal/{}/", name));
    add(internal_router, name, internal);
    add(internal_router, name, routes);
    add(control_router, name, std::move(internal));
    add(control_router, name, routes);
    add(public_router, name, std::move(routes));
}

void Wiring::check_prefix(
    std::string_view module, const http::Routes& routes, const std::string& prefix
) {
    for (const http::Route& route : routes)
        if (!route.pattern.starts_with(prefix))
            fault(
                module,
                fmt::format(
                    "route {} {} must begin with {}",
                    http::to_string(route.method),
                    route.pattern,
                    prefix
                )
            );
}

void Wiring::check_subscriptions(const Loaded& loaded) {
    const ModuleInfo& info = *loaded.info;
    for (const Subscription& one : loaded.subscriptions)
        if (!declares(info.listens, one.type))
            fault(
                info.name,
                fmt::format("subscribes to '{}', which its ModuleInfo does not list", one.type)
            );
    for (std::string_view type : info.listens)
        if (!listens_to(loaded.subscriptions, type))
            fault(info.name, fmt::format("lists '{}' in listens, but does not subscribe", type));
}

void Wiring::add(http::Router& router, std::string_view module, http::Routes routes) {
    try {
        router.add(std::string(module), std::move(routes));
    } catch (const std::logic_error& e) {
        // The others have all that the control router has: say it once.
        if (&router == &control_router || &router == &metrics_router) fault(module, e.what());
    }
}

void Wiring::fault(std::string_view module, std::string detail) {
    faults_.emplace_back(std::string(module), "modules", std::move(detail));
}

}  // namespace souk::host
