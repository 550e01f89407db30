#include "http/router.hpp"

#include "http/openapi.hpp"

#include <array>
#include <deque>
#include <map>
#include <stdexcept>

namespace souk::http {
namespace {

constexpr std::size_t method_count = 7;

using Segments = boost::container::small_vector<std::string_view, 8>;

/// "/api/orders" → {"api", "orders"}; "/" → {""}.
Segments split(std::string_view path) {
    Segments out;
    if (!path.starts_with('/')) return out;
    path.remove_prefix(1);
    for (;;) {
        const auto slash = path.find('/');
        out.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return out;
        path.remove_prefix(slash + 1);
    }
}

bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

/// One segment deep in the tree of patterns.
struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> statics;
    std::unique_ptr<Node> parameter;
    std::array<const Endpoint*, method_count> by_method{};
};

struct Search {
    explicit Search(Segments segments) : segments(std::move(segments)) {}
    Segments segments;
    boost::container::small_vector<std::string_view, 4> values;  // of the parameters, in order
    std::array<bool, method_count> allowed{};                    // what the path has at all
};

const Endpoint* at(const Node& node, Method method) {
    const auto* exact = node.by_method[static_cast<std::size_t>(method)];
    if (exact != nullptr || method != Method::head) return exact;
    return node.by_method[static_cast<std::size_t>(Method::get)];
}

/// Depth first, static segments before parameters; a path that a static segment answers for another
/// method only may still be a parameter's.
const Endpoint* find(const Node& node, std::size_t depth, Method method, Search& search) {
    if (depth == search.segments.size()) {
        for (std::size_t m = 0; m < method_count; ++m)
            if (at(node, static_cast<Method>(m)) != nullptr) search.allowed[m] = true;
        return at(node, method);
    }
    const auto segment = search.segments[depth];
    if (auto it = node.statics.find(segment); it != node.statics.end())
        if (const auto* found = find(*it->second, depth + 1, method, search)) return found;
    if (!node.parameter || segment.empty()) return nullptr;
    search.values.push_back(segment);
    if (const auto* found = find(*node.parameter, depth + 1, method, search)) return found;
    search.values.pop_back();
    return nullptr;
}

std::string allow_header(const std::array<bool, method_count>& allowed) {
    std::string out;
    for (std::size_t m = 0; m < method_count; ++m) {
        if (!allowed[m]) continue;
        if (!out.empty()) out += ", ";
        out += to_string(static_cast<Method>(m));
    }
    return out;
}

}  // namespace

struct Router::State {
    std::deque<Endpoint> endpoints;  // a deque: the tree and the connections point into it
    Node root;
};

Router::Router() : state_(std::make_unique<State>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(std::string module, Routes routes) {
    for (auto& route : routes) {
        auto& endpoint = state_->endpoints.emplace_back(std::move(route), module);
        const auto segments = split(endpoint.route.pattern);
        if (segments.empty())
            throw std::logic_error("a route must start with a slash: " + endpoint.route.pattern);
        Node* node = &state_->root;
        for (auto segment : segments) {
            std::unique_ptr<Node>* next = nullptr;
            if (is_parameter(segment)) {
                endpoint.parameters.push_back(segment.substr(1, segment.size() - 2));
                next = &node->parameter;
            } else {
                next = &node->statics[std::string(segment)];
            }
            if (!*next) *next = std::make_unique<Node>();
            node = next->get();
        }
        auto& slot = node->by_method[static_cast<std::size_t>(endpoint.route.method)];
        if (slot != nullptr)
            throw std::logic_error(
                "two routes collide: " + std::string(to_string(endpoint.route.method)) + " " +
                slot->route.pattern + " of " + slot->module + ", " + endpoint.route.pattern +
                " of " + module
            );
        slot = &endpoint;
    }
}

Router::Match Router::match(Request& request) const {
    Match out;
    Search search(split(request.path));
    if (search.segments.empty()) return out;
    const auto* endpoint = find(state_->root, 0, request.method, search);
    if (endpoint == nullptr) {
        out.allow = allow_header(search.allowed);
        return out;
    }
    for (std::size_t i = 0; i < endpoint->parameters.size(); ++i)
        request.params.emplace_back(endpoint->parameters[i], std::string(search.values[i]));
    out.route = &endpoint->route;
    out.module = endpoint->module;
    return out;
}

souk::json::object Router::openapi(std::string_view version) const {
    return describe(state_->endpoints, version);
}

}  // namespace souk::http
