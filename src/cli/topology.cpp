#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/plan.hpp"
#include "host/registry.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace souk::cli {
namespace {

using Names = std::vector<std::string_view>;

/// What a module is called, and where it listens, when it runs by itself.
struct Service {
    std::string_view module;
    std::string_view name;
    int port;
};
constexpr std::array services = {
    Service{"gateway", "api-gateway", 3000},
    Service{"user", "user-service", 3001},
    Service{"product", "product-service", 8000},
    Service{"order", "order-service", 3003},
    Service{"payment", "payment-service", 3004},
    Service{"notification", "notification-service", 3005},
};

struct Node {
    std::string_view name;
    std::string service;
    int port = 0;  // 0: none was given to it yet
    Names calls;
    Names publishes;
    Names listens;
    Names callers;
};

void name_service(Node& node) {
    const auto known = std::find_if(services.begin(), services.end(), [&](const Service& s) {
        return s.module == node.name;
    });
    if (known == services.end()) {
        node.service = fmt::format("{}-service", node.name);
        return;
    }
    node.service = known->name;
    node.port = known->port;
}

std::vector<Node> read_nodes() {
    std::vector<Node> nodes(1);
    nodes.front().name = host::gateway_name;
    nodes.front().calls = {host::gateway_calls};
    for (const ModuleInfo* info : souk::modules()) {
        Node node;
        node.name = info->name;
        node.calls = info->calls;
        node.publishes = info->publishes;
        node.listens = info->listens;
        nodes.push_back(std::move(node));
    }
    for (Node& node : nodes) {
        name_service(node);
        for (const Node& other : nodes)
            if (std::find(other.calls.begin(), other.calls.end(), node.name) != other.calls.end())
                node.callers.push_back(other.name);
    }
    return nodes;
}

json::array to_json(const Names& names) {
    return json::array(names.begin(), names.end());
}

void print_json(const std::vector<Node>& nodes) {
    json::array modules;
    for (const Node& node : nodes) {
        json::object row;
        row["name"] = node.name;
        row["service"] = node.service;
        row["port"] = node.port;
        row["calls"] = to_json(node.calls);
        row["publishes"] = to_json(node.publishes);
        row["listens"] = to_json(node.listens);
        row["callers"] = to_json(node.callers);
        modules.push_back(std::move(row));
    }
    json::object out;
    out["modules"] = std::move(modules);
    fmt::print("{}\n", json::serialize(out));
}

void print_list(std::string_view label, const Names& names) {
    if (!names.empty()) fmt::print("    {:<10} {}\n", label, fmt::join(names, ", "));
}

void print_text(const std::vector<Node>& nodes) {
    const Style style(STDOUT_FILENO);
    for (const Node& node : nodes) {
        const std::string port = node.port == 0 ? std::string() : fmt::format(":{}", node.port);
        fmt::print(
            "{}{}{}  {}{}{}{}\n",
            style.bold,
            node.name,
            style.reset,
            style.dim,
            node.service,
            port,
            style.reset
        );
        print_list("calls", node.calls);
        print_list("called by", node.callers);
        print_list("publishes", node.publishes);
        print_list("listens to", node.listens);
    }
}

}  // namespace

int topology(bool as_json) {
    const std::vector<Node> nodes = read_nodes();
    if (as_json)
        print_json(nodes);
    else
        print_text(nodes);
    return exit_ok;
}

}  // namespace souk::cli
