#include "rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

namespace souk::architecture {

namespace {

using Prefixes = std::vector<std::string_view>;

bool starts_with_any(std::string_view text, const Prefixes& prefixes) {
    for (std::string_view prefix : prefixes)
        if (text.starts_with(prefix)) return true;
    return false;
}

/// A library and the only places that may name it.
struct Confined {
    std::string_view include;
    Prefixes places;
};

const std::vector<Confined>& confined() {
    static const std::vector<Confined> all = {
        {"sqlite3.h", {"src/database/sqlite/"}},
        {"libpq-fe.h", {"src/database/postgres/"}},
        {"hiredis/", {"src/cache/redis/"}},
        {"amqp", {"src/events/rabbitmq/"}},
        {"boost/beast", {"src/http/", "src/boost/"}},
        {"toml++/", {"src/host/toml.cpp"}},
        {"CLI/", {"src/cli/"}},
        {"prometheus/", {"src/observe/"}},
        {"sodium", {"src/base/", "src/security/"}},
        {"kainjow/", {"modules/notification/app/"}},
        // Concrete drivers are chosen in one place.
        {"database/sqlite/", {"src/database/", "src/host/"}},
        {"database/postgres/", {"src/database/", "src/host/"}},
        {"cache/memory.hpp", {"src/cache/", "src/host/"}},
        {"cache/redis/", {"src/cache/", "src/host/"}},
        {"events/rabbitmq/", {"src/events/", "src/host/"}},
    };
    return all;
}

/// What each folder of the kernel stands on; its own folder is always allowed.
const std::map<std::string_view, Prefixes>& kernel() {
    static const std::map<std::string_view, Prefixes> all = {
        {"base", {}},
        {"boost", {}},
        {"observe", {"base/"}},
        {"database", {"base/", "observe/"}},
        {"events", {"base/", "database/", "observe/"}},
        {"cache", {"base/", "observe/"}},
        {"security", {"base/"}},
        {"http", {"base/", "observe/"}},
        {"peers", {"base/", "http/", "security/"}},
        {"gateway", {"base/", "http/", "peers/", "security/", "souk/user/"}},
        {"host",
         {"base/",
          "observe/",
          "database/",
          "events/",
          "cache/",
          "security/",
          "http/",
          "peers/",
          "gateway/",
          "souk/user/"}},
        {"cli", {"base/", "observe/", "database/", "security/", "http/", "host/"}},
    };
    return all;
}

/// What each folder of a module may include besides the standard library and fmt.
const std::map<std::string_view, Prefixes>& module_folders() {
    static const std::map<std::string_view, Prefixes> all = {
        {"domain",
         {"domain/", "souk/error.hpp", "souk/money.hpp", "souk/id.hpp", "souk/clock.hpp"}},
        {"store",
         {"store/",
          "domain/",
          "souk/database.hpp",
          "souk/long_query.hpp",
          "souk/events.hpp",
          "souk/error.hpp",
          "souk/money.hpp",
          "souk/id.hpp",
          "souk/clock.hpp",
          "souk/async.hpp",
          "souk/json.hpp",
          "souk/context.hpp",
          "souk/embedded.hpp"}},
        {"app", {"app/", "store/", "domain/", "souk/"}},
        {"http", {"http/", "app/", "domain/", "souk/"}},
        {"client", {"client/", "souk/"}},
    };
    return all;
}

struct Include {
    std::string name;
    bool quoted = false;
};

std::vector<Include> includes_of(std::string_view text) {
    static const std::regex pattern(
        R"re(^\s*#\s*include\s*([<"])([^">]+)[">])re", std::regex::multiline
    );
    const std::string source(text);
    std::vector<Include> found;
    for (std::sregex_iterator at(source.begin(), source.end(), pattern), end; at != end; ++at)
        found.push_back(Include{(*at)[2].str(), (*at)[1].str() == "\""});
    return found;
}

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const auto slash = path.find('/');
        parts.emplace_back(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return parts;
}

/// "souk/order/api.hpp" → "order"; empty for the kernel's own headers.
std::string module_of(std::string_view include) {
    const auto parts = split(include);
    return parts.size() == 3 && parts[0] == "souk" ? parts[1] : std::string();
}

std::string fault_in_module(
    const Tree& tree, const std::vector<std::string>& parts, const Include& include
) {
    const std::string& self = parts[1];
    const std::string peer = module_of(include.name);
    if (!peer.empty() && peer != self) {
        const auto declared = tree.peers.find(self);
        if (declared == tree.peers.end() || !declared->second.contains(peer))
            return fmt::format("{} is no peer of {} in its CMakeLists.txt", peer, self);
        if (parts[2] == "client") return "client/ carries its own module's Api only";
    }
    if (parts[2] == "include" && include.quoted && !include.name.starts_with("souk/"))
        return "a public header may include only public headers";
    const auto folder = module_folders().find(parts[2]);
    if (folder == module_folders().end() || !include.quoted || peer == self) return {};
    if (include.name.starts_with("security/") && self == "user") return {};
    if (starts_with_any(include.name, folder->second)) return {};
    return fmt::format("{}/ may not include it", parts[2]);
}

std::string fault_in_kernel(const std::vector<std::string>& parts, const Include& include) {
    if (parts.size() < 3 || !include.quoted) return {};
    const auto folder = kernel().find(parts[1]);
    if (folder == kernel().end())
        return fmt::format("src/{} is not in the list of layers", parts[1]);
    const std::string peer = module_of(include.name);
    const bool own = include.name.starts_with(parts[1] + "/");
    const bool contract = include.name.starts_with("souk/") && peer.empty();
    if (own || contract || starts_with_any(include.name, folder->second)) return {};
    return fmt::format("src/{} may not include it", parts[1]);
}

std::string fault_in(const Tree& tree, std::string_view path, const Include& include) {
    for (const Confined& library : confined())
        if (include.name.starts_with(library.include) && !starts_with_any(path, library.places))
            return fmt::format("only {} may", fmt::join(library.places, ", "));
    const auto parts = split(path);
    if (parts[0] == "modules" && parts.size() > 2) return fault_in_module(tree, parts, include);
    if (parts[0] == "src") return fault_in_kernel(parts, include);
    if (parts[0] == "include" && include.quoted && !include.name.starts_with("souk/"))
        return "the contract includes only itself";
    return {};
}

std::string without_comments(std::string_view text) {
    static const std::regex comment(R"(//[^\n]*)");
    return std::regex_replace(std::string(text), comment, "");
}

/// Without what stands in quotes, so that braces there count for nothing.
std::string without_literals(std::string_view source) {
    static const std::regex literal(R"re("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)')re");
    return std::regex_replace(std::string(source), literal, "0");
}

/// Whether a brace behind `before` opens the body of a function or a lambda.
bool opens_function(std::string_view before) {
    static const std::regex tail(
        R"((?:\s|\b(?:const|noexcept|override|final|mutable)\b|->[^(){};]*)*$)"
    );
    // Far enough for any signature's end, and for the word before a condition.
    const std::string near(before.substr(before.size() - std::min<std::size_t>(before.size(), 4000))
    );
    const std::string head =
        std::regex_replace(near, tail, "", std::regex_constants::format_first_only);
    if (head.empty() || head.back() != ')') return false;
    std::size_t at = head.size();
    for (int depth = 0; at > 0;) {
        --at;
        if (head[at] == ')') ++depth;
        if (head[at] == '(' && --depth == 0) break;
    }
    static const std::regex control(R"(\b(?:if|if constexpr|for|while|switch|catch)\s*$)");
    return !std::regex_search(head.substr(0, at), control);
}

struct Body {
    std::size_t begin = 0;
    std::string text;  // without the bodies within it
};

std::vector<Body> function_bodies(std::string_view source) {
    struct Open {
        Body body;
        bool is_function = false;
    };
    std::vector<Body> bodies;
    std::vector<Open> open(1);
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '{') {
            open.emplace_back();
            open.back().body.begin = i;
            open.back().is_function = opens_function(source.substr(0, i));
        } else if (source[i] == '}' && open.size() > 1) {
            Open closed = std::move(open.back());
            open.pop_back();
            if (closed.is_function)
                bodies.push_back(std::move(closed.body));
            else
                open.back().body.text += "{" + closed.body.text + "}";
        } else {
            open.back().body.text += source[i];
        }
    }
    return bodies;
}

/// GCC 12 makes a coroutine, whose only sign of being one is `if (!co_await x) throw ...;`, that
/// runs into nowhere behind it (SIGILL).
bool only_awaits_to_throw(const std::string& body) {
    if (body.find("co_await") == std::string::npos) return false;
    if (body.find("co_return") != std::string::npos) return false;
    if (body.find("co_yield") != std::string::npos) return false;
    static const std::regex awaiting_throw(R"(\bif\s*\([^;{}]*co_await[^;{}]*\)\s*\{?\s*throw\b)");
    return std::regex_replace(body, awaiting_throw, "").find("co_await") == std::string::npos;
}

std::string place(std::string_view path, std::string_view source, std::size_t position) {
    const auto line = 1 + std::count(source.begin(), source.begin() + position, '\n');
    return fmt::format("{}:{}", path, line);
}

struct Form {
    std::regex pattern;
    std::string_view why;
};

const std::vector<Form>& unsafe_forms() {
    static const std::vector<Form> all = [] {
        std::vector<Form> forms;
        forms.push_back(Form{
            std::regex(R"(co_await[^;{}]*[(,]\s*\{[^;}]*\})"),
            "a braced temporary in an expression with co_await"});
        forms.push_back(Form{
            std::regex(R"(co_await[^;{}]*[(,]\s*[A-Z]\w*\{[^;}]*\})"),
            "a braced aggregate temporary in an expression with co_await"});
        forms.push_back(Form{
            std::regex(R"(co_await[^;{}]*[(,]\s*\[[^\]]*\w[^\]]*\]\s*[({m])"),
            "a temporary lambda with captures in an expression with co_await"});
        forms.push_back(Form{
            std::regex(R"(co_await\s*\([^;{}]*\?[^;{}]*\))"), "co_await of a ternary"});
        forms.push_back(Form{
            std::regex(R"(co_spawn\s*\([^;]*\[[^\]]*\w[^\]]*\]\s*\([^)]*\)[^{;]*\{)"),
            "co_spawn of a capturing lambda: its captures die before it runs"});
        return forms;
    }();
    return all;
}

}  // namespace

std::vector<std::string> include_faults(
    const Tree& tree, std::string_view path, std::string_view text
) {
    std::vector<std::string> faults;
    for (const Include& include : includes_of(text)) {
        const std::string why = fault_in(tree, path, include);
        if (!why.empty())
            faults.push_back(fmt::format("{}: includes {}: {}", path, include.name, why));
    }
    return faults;
}

std::vector<std::string> coroutine_faults(std::string_view path, std::string_view text) {
    const std::string source = without_comments(text);
    std::vector<std::string> faults;
    for (const Form& form : unsafe_forms()) {
        std::smatch match;
        if (std::regex_search(source, match, form.pattern)) {
            const auto at = place(path, source, static_cast<std::size_t>(match.position()));
            faults.push_back(fmt::format("{}: {}: {}", at, form.why, match.str()));
        }
    }
    if (source.find("co_await") == std::string::npos) return faults;
    const std::string bare = without_literals(source);
    for (const Body& body : function_bodies(bare))
        if (only_awaits_to_throw(body.text))
            faults.push_back(fmt::format(
                "{}: a coroutine without co_return that awaits only to throw: end it with "
                "co_return",
                place(path, bare, body.begin)
            ));
    return faults;
}

}  // namespace souk::architecture
