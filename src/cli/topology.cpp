// `souk topology`: the shop in deployments of its own, of what the modules say of themselves. What
// deploys the shop (compose, charts, network policies) is checked against it.
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/deployments.hpp"
#include "host/plan.hpp"
#include "host/registry.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace souk::cli {
namespace {

using Names = std::vector<std::string_view>;

struct Row {
    explicit Row(host::Deployment deployment) : deployment(std::move(deployment)) {}
    host::Deployment deployment;
    Names calls;
    Names publishes;
    Names listens;
    Names callers;
};

void add_module(Row& row, const ModuleInfo& info) {
    row.calls = info.calls;
    row.publishes = info.publishes;
    row.listens = info.listens;
}

std::vector<Row> read_rows() {
    std::vector<Row> rows;
    const auto& modules = souk::modules();
    for (host::Deployment& one : host::deployments(modules)) {
        Row& row = rows.emplace_back(std::move(one));
        for (const ModuleInfo* info : modules)
            if (row.deployment.role == host::gateway_name)
                row.calls.push_back(info->name);  // it serves everybody's routes
            else if (row.deployment.role == info->name)
                add_module(row, *info);
    }
    for (Row& row : rows)
        for (const Row& other : rows)
            if (std::find(other.calls.begin(), other.calls.end(), row.deployment.role) !=
                other.calls.end())
                row.callers.push_back(other.deployment.role);
    return rows;
}

json::array to_json(const Names& names) {
    return json::array(names.begin(), names.end());
}

void print_json(const std::vector<Row>& rows) {
    json::array modules;
    for (const Row& row : rows) {
        json::object out;
        out["name"] = row.deployment.role;
        out["service"] = row.deployment.name;
        out["port"] = row.deployment.port;
        out["internal_port"] = row.deployment.internal_port;
        out["metrics_port"] = row.deployment.metrics_port;
        out["calls"] = to_json(row.calls);
        out["publishes"] = to_json(row.publishes);
        out["listens"] = to_json(row.listens);
        out["callers"] = to_json(row.callers);
        modules.push_back(std::move(out));
    }
    json::object out;
    out["modules"] = std::move(modules);
    fmt::print("{}\n", json::serialize(out));
}

/// 0: it has none.
std::string port_text(std::uint16_t port) {
    return port == 0 ? "-" : fmt::format("{}", port);
}

void print_list(std::string_view label, const Names& names) {
    if (!names.empty()) fmt::print("    {:<10} {}\n", label, fmt::join(names, ", "));
}

void print_text(const std::vector<Row>& rows) {
    const Style style(STDOUT_FILENO);
    fmt::print(
        "{}{:<22} {:<14} {:>6} {:>9} {:>8}{}\n",
        style.dim,
        "deployment",
        "--modules=",
        "port",
        "internal",
        "metrics",
        style.reset
    );
    for (const Row& row : rows) {
        const host::Deployment& at = row.deployment;
        fmt::print(
            "{}{:<22}{} {:<14} {:>6} {:>9} {:>8}\n",
            style.bold,
            at.name,
            style.reset,
            at.role,
            port_text(at.port),
            port_text(at.internal_port),
            at.metrics_port
        );
        print_list("calls", row.calls);
        print_list("called by", row.callers);
        print_list("publishes", row.publishes);
        print_list("listens to", row.listens);
    }
    fmt::print(
        "\n{}The metrics ports are those of all on one machine (--metrics-port); else it is "
        "9090.{}\n",
        style.dim,
        style.reset
    );
}

}  // namespace

int topology(bool as_json) {
    const std::vector<Row> rows = read_rows();
    if (as_json)
        print_json(rows);
    else
        print_text(rows);
    return exit_ok;
}

}  // namespace souk::cli
