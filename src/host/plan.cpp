#include "host/plan.hpp"

#include "host/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace souk::host {
namespace {

using Infos = std::vector<const ModuleInfo*>;

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
    explicit Planner(const Infos& available) : available_(available) {}

    Result<Plan> plan(const std::vector<std::string>& wanted) {
        select(wanted);
        if (plan_.gateway) check_peer(gateway_name, gateway_calls);
        for (const ModuleInfo* info : selected_)
            check(*info);
        for (const ModuleInfo* info : selected_)
            place(*info);
        if (!faults_.empty())
            return all_faults("modules", "these modules cannot run together:", std::move(faults_));
        return std::move(plan_);
    }

private:
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

    void check_peer(std::string_view module, std::string_view peer) {
        if (find(selected_, peer) != nullptr) return;
        if (find(available_, peer) == nullptr)
            fault(module, fmt::format("calls '{}', which this binary does not contain", peer));
        else
            fault(
                module,
                fmt::format(
                    "calls '{0}', which is not loaded here: add {0} to --modules, "
                    "or leave --modules out to load all",
                    peer
                )
            );
    }

    void check_event(std::string_view module, std::string_view event) {
        if (publisher_of(selected_, event) != nullptr) return;
        const ModuleInfo* elsewhere = publisher_of(available_, event);
        if (elsewhere == nullptr)
            fault(module, fmt::format("listens to '{}', which no module publishes", event));
        else
            fault(
                module,
                fmt::format(
                    "listens to '{0}' of '{1}', which is not loaded here, and modules that tell "
                    "each other of events run in one process: add {1} to --modules, or leave "
                    "--modules out to load all",
                    event,
                    elsewhere->name
                )
            );
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
    Infos selected_;
    Infos path_;  // from the module that place() was asked for to the one it is at
    std::set<const ModuleInfo*> circles_;
    Plan plan_;
    std::vector<FieldError> faults_;
};

}  // namespace

Result<Plan> make_plan(
    const std::vector<const ModuleInfo*>& available, const std::vector<std::string>& wanted
) {
    return Planner(available).plan(wanted);
}

}  // namespace souk::host
