#include "host/server_url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace souk::host {
namespace {

struct Kind {
    std::string_view key;
    std::array<std::string_view, 2> schemes;
    std::string_view example;
};

constexpr std::array kinds = {
    Kind{
        "postgres.url",
        {"postgresql", "postgres"},
        "postgresql://souk_{module}:password@host:5432/souk_{module}"},
    Kind{
        "postgres.replica_url",
        {"postgresql", "postgres"},
        "postgresql://souk_{module}:password@host:5432/souk_{module}"},
    Kind{"redis.url", {"redis", "rediss"}, "redis://:password@host:6379/0"},
    Kind{"rabbitmq.url", {"amqp", "amqps"}, "amqp://user:password@host:5672/%2F"},
};

constexpr std::string_view scheme_end = "://";
constexpr std::string_view encode =
    "percent-encode the password: in it each of / : @ # ? % is written as % and its number, / as "
    "%2F";

struct Parts {
    explicit Parts(std::string_view url) {
        const std::size_t colon = std::min(url.find(scheme_end), url.size());
        scheme = url.substr(0, colon);
        std::string_view rest = url.substr(std::min(colon + scheme_end.size(), url.size()));
        const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
        tail = rest.substr(end);
        server = rest.substr(0, end);
        const std::size_t at = server.rfind('@');
        if (at == std::string_view::npos) return;
        user = server.substr(0, at);
        server.remove_prefix(at + 1);
    }
    std::string_view scheme;
    std::string_view user;    // and password
    std::string_view server;  // host[:port], for PostgreSQL perhaps several
    std::string_view tail;    // the path and what follows
};

bool is_port(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value > 0 && value < 65536;
}

/// After the host, which may be an IPv6 address in brackets; empty when there is none.
std::string_view port_of(std::string_view server) {
    const std::size_t bracket = server.rfind(']');
    const std::size_t colon = server.find(':', bracket == std::string_view::npos ? 0 : bracket);
    return colon == std::string_view::npos ? std::string_view() : server.substr(colon + 1);
}

std::string server_fault(std::string_view server) {
    for (std::size_t begin = 0; begin <= server.size();) {
        const std::size_t comma = std::min(server.find(',', begin), server.size());
        const std::string_view one = server.substr(begin, comma - begin);
        const std::string_view port = port_of(one);
        if (one.empty() || one.front() == ':') return "it names no host";
        if (!port.empty() && !is_port(port))
            return fmt::format("its port is not a number from 1 to 65535, or {}", encode);
        begin = comma + 1;
    }
    return {};
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool has_wrong_escape(std::string_view url) {
    for (std::size_t at = 0; (at = url.find('%', at)) != std::string_view::npos; ++at)
        if (at + 2 >= url.size() || !is_hex(url[at + 1]) || !is_hex(url[at + 2])) return true;
    return false;
}

/// Whether a sign stands where only a password that is not encoded can have put it. The servers'
/// clients would take a part of it for the host or the database, and name that in every message.
bool holds_raw_password(const Kind& kind, const Parts& parts, std::string_view url) {
    const auto has = [](std::string_view text, char c) {
        return text.find(c) != std::string_view::npos;
    };
    const bool takes_parameters = kind.schemes.front() == "postgresql";
    return has(parts.user, '@') || has(parts.tail, '@') || has(parts.tail, '#') ||
           (!takes_parameters && has(parts.tail, '?')) ||
           std::count(parts.user.begin(), parts.user.end(), ':') > 1 || has_wrong_escape(url);
}

std::string fault_of(const Kind& kind, const std::string& url) {
    const Parts parts(url);
    if (url.find(scheme_end) == std::string::npos) return "it is no address";
    if (std::find(kind.schemes.begin(), kind.schemes.end(), parts.scheme) == kind.schemes.end())
        return fmt::format("its scheme is none of {}://", fmt::join(kind.schemes, "://, "));
    const bool odd =
        std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
    if (odd) return "it holds a space or a control character";
    if (holds_raw_password(kind, parts, url)) return std::string(encode);
    // libpq takes the host, a socket's folder for instance, as a parameter as well.
    const bool elsewhere = kind.schemes.front() == "postgresql" && parts.server.empty() &&
                           parts.tail.find("host=") != std::string_view::npos;
    return elsewhere ? std::string() : server_fault(parts.server);
}

}  // namespace

std::string server_url_fault(std::string_view key, const std::string& url) {
    if (url.empty()) return {};
    for (const Kind& kind : kinds) {
        if (kind.key != key) continue;
        const std::string fault = fault_of(kind, url);
        if (!fault.empty()) return fmt::format("{}; write it like {}", fault, kind.example);
    }
    return {};
}

std::string server_of(const std::string& url) {
    const Parts parts(url);
    return parts.server.empty() ? "the address in its host= parameter" : std::string(parts.server);
}

}  // namespace souk::host
