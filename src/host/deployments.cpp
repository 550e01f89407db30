#include "host/deployments.hpp"

#include "host/plan.hpp"

#include <fmt/format.h>

namespace souk::host {
namespace {

constexpr std::uint16_t gateway_port = 3000;
constexpr std::uint16_t internal_offset = 10'000;  // the default of internal.port
constexpr std::uint16_t first_metrics_port = 9190;

}  // namespace

std::vector<Deployment> deployments(const std::vector<const ModuleInfo*>& available) {
    std::vector<Deployment> out;
    out.push_back(Deployment{
        "api-gateway", std::string(gateway_name), gateway_port, 0, first_metrics_port});
    for (const ModuleInfo* info : available) {
        Deployment one;
        one.name = fmt::format("{}-service", info->name);
        one.role = info->name;
        one.port = info->port;
        one.internal_port =
            info->port == 0 ? std::uint16_t(0) : std::uint16_t(info->port + internal_offset);
        one.metrics_port = static_cast<std::uint16_t>(first_metrics_port + out.size());
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace souk::host
