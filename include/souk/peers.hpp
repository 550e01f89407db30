// How modules reach each other. `peers.get<product::Api>()` is the only place where deployment is
// decided: the module loaded here, or (when split) its HTTP client. An Api class names its module:
// `static constexpr std::string_view module_name = "product";`. Arguments and results of an Api are
// values, so that local and remote calls agree; every call may fail as `unavailable` and "may have
// executed", so every call is idempotent.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace souk {

/// The table of all Apis that can be reached, owned by the host.
class PeerTable {
public:
    void provide(std::string_view module, void* api) { apis_[std::string(module)] = api; }
    void* find(std::string_view module) const {
        auto it = apis_.find(module);
        return it == apis_.end() ? nullptr : it->second;
    }

private:
    std::map<std::string, void*, std::less<>> apis_;
};

/// One module's view: it may get only what its ModuleInfo lists in `calls`.
class Peers {
public:
    Peers(PeerTable& table, std::string_view self, std::vector<std::string_view> calls)
        : table_(&table), self_(self), calls_(std::move(calls)) {}

    /// Makes `api` the local implementation of its module. Call in the module's constructor.
    template <class Api>
    void provide(Api& api) {
        table_->provide(Api::module_name, static_cast<void*>(&api));
    }

    /// Call in `Module::start` or later. Throws std::logic_error when the peer is not declared in
    /// `calls` (in every mode) or cannot be reached; the host has checked the latter before.
    template <class Api>
    Api& get() const {
        return *static_cast<Api*>(resolve(Api::module_name));
    }

private:
    void* resolve(std::string_view module) const;
    PeerTable* table_;
    std::string self_;
    std::vector<std::string_view> calls_;
};

}  // namespace souk
