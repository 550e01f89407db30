#include "database/postgres/target.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <fstream>
#include <memory>

namespace souk::database::postgres {
namespace {

/// What the url may replace. Keepalives find a dead peer in seconds; GSS would look for Kerberos.
constexpr std::pair<const char*, const char*> defaults[] = {
    {"fallback_application_name", "souk"},
    {"client_encoding", "UTF8"},
    {"gssencmode", "disable"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "3"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},
};

Error open_error(std::string words) {
    return unavailable("database_open", std::move(words));
}

std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> parts;
    for (;;) {
        auto comma = list.find(',');
        parts.push_back(list.substr(0, comma));
        if (comma == std::string_view::npos) return parts;
        list.remove_prefix(comma + 1);
    }
}

bool has(std::string_view text, std::string_view words) {
    return text.find(words) != std::string_view::npos;
}

/// Also a list of ports. An unescaped / in a password makes a part of it the port...
bool is_port(std::string_view text) {
    return text.find_first_not_of("0123456789,") == std::string_view::npos;
}

/// ...and an unescaped @ or / a part of it the host or the database, which messages name.
bool has_stray_at(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string_view::npos) return false;
    url.remove_prefix(scheme + 3);
    const std::size_t at = url.find('@');
    if (at == std::string_view::npos) return false;
    return at > url.find_first_of("/?#") || url.find('@', at + 1) != std::string_view::npos;
}

Error malformed() {
    return open_error(
        "the url of the database is malformed: write "
        "postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE, "
        "with % escapes for other signs than letters and digits in the password"
    );
}

/// libpq tells of several tries on several lines; one line is enough for a log.
std::string one_line(std::string_view message) {
    std::string out;
    for (char c : message) {
        if (c == '\n' || c == '\t') c = ' ';
        if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
        out += c;
    }
    while (!out.empty() && out.back() == ' ')
        out.pop_back();
    return out;
}

std::string mend(const Target& target, std::string_view message) {
    const std::string role(target.role());
    const std::string database(target.database());
    if (has(message, "password authentication failed") || has(message, "no password supplied"))
        return fmt::format(
            "the server refuses the password of role {}: mend it in the url or in "
            "postgres.password_file",
            role
        );
    if (has(message, "role \"") && has(message, "does not exist"))
        return fmt::format("there is no role {0}: CREATE ROLE {0} LOGIN PASSWORD '...'", role);
    if (has(message, "database \"") && has(message, "does not exist"))
        return fmt::format(
            "there is no database {0}, create it: CREATE DATABASE {0} OWNER {1}", database, role
        );
    if (has(message, "permission denied for database"))
        return fmt::format(
            "the role may not enter the database: GRANT CONNECT ON DATABASE {} TO {}",
            database,
            role
        );
    if (has(message, "pg_hba.conf"))
        return "the server's pg_hba.conf does not admit this client: add a line for it, or mend "
               "sslmode in the url";
    if (has(message, "root certificate file"))
        return "sslmode verifies the server, but its CA is not known: name the CA's certificate by "
               "sslrootcert=FILE in the url";
    if (has(message, "does not match host name"))
        return "the server's certificate is for another host: use that name in the url";
    if (has(message, "certificate") || has(message, "SSL"))
        return "TLS fails: mend sslmode and sslrootcert in the url, or the server's certificate";
    if (has(message, "starting up") || has(message, "shutting down"))
        return "the server is starting or stopping: try again in a moment";
    if (has(message, "too many") || has(message, "connection slots"))
        return "the server has no connection left: raise max_connections, or lower "
               "postgres.connections of each process";
    if (has(message, "translate host name") || has(message, "Host not found"))
        return "no such host: mend the url";
    if (has(message, "refused") || has(message, "No such file") || has(message, "timeout") ||
        has(message, "unreachable"))
        return "no PostgreSQL answers there: start it, or mend the url";
    if (has(message, "read-only") || has(message, "read-write") || has(message, "primary"))
        return "no server there takes writes: look after the failover";
    return "look at the server's log";
}

}  // namespace

std::string_view find(const Keywords& keywords, std::string_view name) {
    auto same = [&](const Keyword& keyword) { return keyword.name == name; };
    auto found = std::find_if(keywords.begin(), keywords.end(), same);
    return found == keywords.end() ? std::string_view() : found->value;
}

void set(Keywords& keywords, std::string_view name, std::string value) {
    auto same = [&](const Keyword& keyword) { return keyword.name == name; };
    std::erase_if(keywords, same);
    keywords.emplace_back(std::string(name), std::move(value));
}

Result<Target> Target::parse(const std::string& url, std::filesystem::path password_file) {
    char* fault = nullptr;
    auto free_options = [](PQconninfoOption* options) { PQconninfoFree(options); };
    std::unique_ptr<PQconninfoOption, decltype(free_options)> options(
        PQconninfoParse(url.c_str(), &fault), free_options
    );
    PQfreemem(fault);  // it quotes the url, password and all
    if (!options) return malformed();
    Target target;
    for (auto [name, value] : defaults)
        set(target.keywords_, name, value);
    for (const auto* option = options.get(); option->keyword != nullptr; ++option)
        if (option->val != nullptr) set(target.keywords_, option->keyword, option->val);
    if (has_stray_at(url) || !is_port(find(target.keywords_, "port"))) return malformed();
    target.password_file_ = std::move(password_file);
    return target;
}

Result<Keywords> Target::keywords() const {
    Keywords keywords = keywords_;
    if (password_file_.empty()) return keywords;
    std::ifstream in(password_file_);
    std::string password;
    if (!in || !std::getline(in, password))
        return open_error(fmt::format(
            "cannot read the password of the database from {}: check the file and its permissions",
            password_file_.string()
        ));
    if (password.ends_with('\r')) password.pop_back();
    set(keywords, "password", std::move(password));
    return keywords;
}

std::string_view Target::database() const {
    std::string_view name = find(keywords_, "dbname");
    return name.empty() ? role() : name;
}

std::string Target::place() const {
    std::string_view host = find(keywords_, "host");
    if (host.empty()) host = find(keywords_, "hostaddr");
    const auto hosts = split(host);
    const auto ports = split(find(keywords_, "port"));
    std::string out;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        std::string_view port = ports.size() == 1 ? ports[0] : i < ports.size() ? ports[i] : "";
        if (!out.empty()) out += ',';
        out += fmt::format(
            "{}:{}", hosts[i].empty() ? "localhost" : hosts[i], port.empty() ? "5432" : port
        );
    }
    return out;
}

Error connect_error(const Target& target, std::string_view message) {
    return open_error(fmt::format(
        "cannot open the database {} at {}: {} ({})",
        target.database(),
        target.place(),
        mend(target, message),
        one_line(message)
    ));
}

}  // namespace souk::database::postgres
