#include "host/route_table.hpp"

#include "cache/memory.hpp"
#include "observe/prometheus_metrics.hpp"

#include <fmt/format.h>

namespace souk::host {
namespace {

Error runs_elsewhere() {
    return unavailable("runs_elsewhere", "this module runs in another process");
}

class NoDatabase final : public Database {
public:
    Task<Result<Rows>> query(const Statement&, Params, Deadline) override {
        co_return runs_elsewhere();
    }
    Task<Result<void>> transact(TransactionBody, Deadline) override { co_return runs_elsewhere(); }
    Dialect dialect() const override { return Dialect::postgres; }
};

class NoBus final : public Bus {
public:
    void wake() override {}
};

}  // namespace

http::Routes route_table(
    const ModuleInfo& info, const Config& config, Executor executor, Clock& clock
) {
    NoDatabase database;
    NoBus bus;
    BlockingPool blocking("nobody", 1, 1);
    const auto cache = cache::make_memory_cache(clock, 1);
    const auto limiter = cache::make_memory_rate_limiter(clock, 1);
    const auto metrics = observe::make_metrics();
    PeerTable table;  // not the host's: what the module provides goes with it
    Peers peers(table, info.name, info.calls);
    ModuleDeps deps{
        executor,
        blocking,
        database,
        bus,
        *cache,
        *limiter,
        clock,
        Logger(info.name),
        *metrics,
        config.section(fmt::format("modules.{}", info.name)),
        peers,
        {}};
    const auto module = info.create(std::move(deps));
    http::Routes routes = module->routes();
    for (http::Route& route : routes)
        route.handler = nullptr;
    return routes;
}

}  // namespace souk::host
