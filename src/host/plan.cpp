#include "host/plan.hpp"

#include "host/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace souk::host {
namespace {

using Infos = std::vector<const ModuleInfo*>;

constexpr std::string_view only_a_part = "a part of the shop";

const ModuleInfo* find(const Infos& infos, std::string_view name) {
    const auto it = std::find_if(infos.begin(), infos.end(), [&](const ModuleInfo* info) {
        return info->name == name;
    });
    return it == infos.end() ? nullptr : *it;
}

bool contains(const std::vector<std::string_view>& list, std::string_view item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

const ModuleInfo* publisher_of(const Infos& infos, std::string_view event) {
    const auto it = std::find_if(infos.begin(), infos.end(), [&](const ModuleInfo* info) {
        return contains(info->publishes, event);
    });
    return it == infos.end() ? nullptr : *it;
}

class Planner {
public:
    Planner(const Infos& available, const Surroundings& around)
        : available_(available), around_(around) {}

    Result<Plan> plan(const std::vector<std::string>& wanted) {
        select(wanted);
        // All modules without the gateway are a whole, unless a gateway elsewhere is to call them.
        plan_.split =
            selected_.size() < available_.size() || (!plan_.gateway && around_.credential);
        if (plan_.split) check_surroundings();
        if (plan_.gateway)  // it serves everybody's routes
            for (const ModuleInfo* info : available_)
                check_peer(gateway_name, info->name);
        for (const ModuleInfo* info : selected_)
            check(*info);
        for (const ModuleInfo* info : selected_)
            place(*info);
        if (!faults_.empty()) return all_faults("modules", title(), std::move(faults_));
        if (!plan_.gateway && plan_.modules.size() == 1) plan_.port = plan_.modules.front()->port;
        return std::move(plan_);
    }

private:
    std::string_view title() const {
        return plan_.split ? "these modules cannot run so (README.md, \"Split it\", tells how; "
                             "without --modules all run here):"
                           : "these modules cannot run so:";
    }

    void fault(std::string_view module, std::string detail) {
        faults_.emplace_back(std::string(module), "modules", std::move(detail));
    }

    void select(const std::vector<std::string>& wanted) {
        if (wanted.empty()) {
            selected_ = available_;
            plan_.gateway = true;
            return;
        }
        for (const std::string& name : wanted)
            if (name == gateway_name)
                plan_.gateway = true;
            else if (find(available_, name) == nullptr)
                fault(name, unknown(name));
        for (const ModuleInfo* info : available_)  // in their order, each once
            if (std::find(wanted.begin(), wanted.end(), info->name) != wanted.end())
                selected_.push_back(info);
    }

    std::string unknown(const std::string& name) const {
        std::vector<std::string> names = {std::string(gateway_name)};
        for (const ModuleInfo* info : available_)
            names.emplace_back(info->name);
        const std::string hint = did_you_mean(name, names);
        return hint.empty()
                   ? fmt::format("there is no such module; there are: {}", fmt::join(names, ", "))
                   : "there is no such module" + hint;
    }

    void check(const ModuleInfo& info) {
        for (std::string_view peer : info.calls)
            check_peer(info.name, peer);
        for (std::string_view event : info.publishes)
            if (event.substr(0, event.find('.')) != info.name)
                fault(
                    info.name,
                    fmt::format(
                        "publishes '{}', whose name must begin with '{}.'", event, info.name
                    )
                );
        for (std::string_view event : info.listens)
            check_event(info.name, event);
    }

    /// What others must see as this process does, and how they know each other.
    void check_surroundings() {
        if (!around_.servers)
            fault(
                only_a_part,
                "what runs elsewhere cannot see this process's SQLite files nor its embedded bus: "
                "set DATABASE_URL and RABBITMQ_URL"
            );
        if (!around_.shared_cache)
            fault(
                only_a_part,
                "this process's memory is no cache that others share, nor do its rate limits "
                "count their requests: set REDIS_URL"
            );
        if (!around_.credential)
            fault(
                only_a_part,
                "peers must prove who they are: set internal.certificate_file, key_file and "
                "ca_file (`souk dev-certs` makes some), or in development internal.shared_key_file"
            );
        if (plan_.gateway && !around_.identity_key)
            fault(
                gateway_name,
                "tells other processes who asks, by its signature: set internal.identity_key_file "
                "(`souk dev-certs` makes one)"
            );
        if (!plan_.gateway && !around_.identity_public)
            fault(
                only_a_part,
                "the gateway's signature says who asks: set internal.identity_public_file to check "
                "it (`souk dev-certs` makes one)"
            );
    }

    void check_peer(std::string_view module, std::string_view peer) {
        if (find(selected_, peer) != nullptr) return;
        const ModuleInfo* elsewhere = find(available_, peer);
        if (elsewhere == nullptr)
            return fault(
                module, fmt::format("calls '{}', which this binary does not contain", peer)
            );
        if (!around_.peers.contains(peer))
            return fault(
                module,
                fmt::format(
                    "calls '{0}', which neither is loaded here nor has an address: set peers.{0}, "
                    "or add {0} to --modules",
                    peer
                )
            );
        const auto known = std::find(plan_.remote.begin(), plan_.remote.end(), elsewhere);
        if (known == plan_.remote.end()) plan_.remote.push_back(elsewhere);
    }

    void check_event(std::string_view module, std::string_view event) {
        if (publisher_of(available_, event) == nullptr)
            fault(module, fmt::format("listens to '{}', which no module publishes", event));
    }

    /// Depth first: the peers, then the module.
    void place(const ModuleInfo& info) {
        if (std::find(plan_.modules.begin(), plan_.modules.end(), &info) != plan_.modules.end())
            return;
        const auto begin = std::find(path_.begin(), path_.end(), &info);
        if (begin != path_.end()) {
            std::string circle;
            for (auto it = begin; it != path_.end(); ++it)
                circle += std::string((*it)->name) + " -> ";
            if (circles_.insert(&info).second)
                fault(
                    info.name,
                    fmt::format(
                        "calls go in a circle: {}{}; let one of them listen to an event "
                        "instead",
                        circle,
                        info.name
                    )
                );
            return;
        }
        path_.push_back(&info);
        for (std::string_view peer : info.calls)
            if (const ModuleInfo* callee = find(selected_, peer)) place(*callee);
        path_.pop_back();
        if (std::find(plan_.modules.begin(), plan_.modules.end(), &info) == plan_.modules.end())
            plan_.modules.push_back(&info);
    }

    const Infos& available_;
    const Surroundings& around_;
    Infos selected_;
    Infos path_;  // from the module that place() was asked for to the one it is at
    std::set<const ModuleInfo*> circles_;
    Plan plan_;
    std::vector<FieldError> faults_;
};

}  // namespace

std::string peer_address(const Config& config, std::string_view module) {
    // A module that config/souk.toml does not know has none.
    const auto it = config.values().find(fmt::format("peers.{}", module));
    return it == config.values().end() ? std::string() : it->second.value;
}

Surroundings surroundings(const Config& config, const Infos& available) {
    const auto given = [&](std::string_view key) { return !config.text(key).empty(); };
    Surroundings out;
    for (const ModuleInfo* info : available)
        if (!peer_address(config, info->name).empty()) out.peers.emplace(info->name);
    out.servers = given("postgres.url") && given("rabbitmq.url");
    out.shared_cache = given("redis.url");
    out.credential = given("internal.certificate_file") || given("internal.shared_key_file");
    out.identity_key = given("internal.identity_key_file");
    out.identity_public = given("internal.identity_public_file");
    return out;
}

Result<Plan> make_plan(
    const Infos& available, const std::vector<std::string>& wanted, const Surroundings& around
) {
    return Planner(available, around).plan(wanted);
}

std::vector<std::string> callers_of(const Plan& plan, const Infos& available) {
    std::vector<std::string> out = {std::string(gateway_name), "operator"};
    for (const ModuleInfo* caller : available)
        for (const ModuleInfo* here : plan.modules)
            if (contains(caller->calls, here->name)) {
                out.emplace_back(caller->name);
                break;
            }
    return out;
}

}  // namespace souk::host
