#include "services.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string_view>

namespace souk::test {

namespace {

using Strings = std::vector<std::string>;

constexpr std::array modules = {"user", "product", "order", "payment", "notification"};

// A database is 8 MB, and one test program may open a hundred shops; none has so many at once.
constexpr std::size_t shops_kept = 32;

std::string_view name_of(Server server) {
    switch (server) {
        case Server::postgres:
            return "postgres";
        case Server::redis:
            return "redis";
        case Server::rabbitmq:
            return "rabbitmq";
    }
    throw std::logic_error("no such server");
}

Strings names_of(const std::vector<Server>& servers) {
    Strings out;
    for (const Server server : servers)
        out.emplace_back(name_of(server));
    return out;
}

std::string random_name(std::string_view prefix) {
    std::random_device source;
    return fmt::format("{}{:08x}{:08x}", prefix, source(), source());
}

std::runtime_error system_fault(std::string_view what) {
    return std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// A program with a socket to its input and from its output and complaints.
class Child {
public:
    Child(Strings args, const Services::Environment& environment) {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
            throw system_fault("socketpair");
        std::vector<char*> argv;
        for (std::string& arg : args)
            argv.push_back(arg.data());
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw system_fault("fork");
        if (pid_ == 0) become(argv, environment, ends[1]);
        ::close(ends[1]);
        socket_ = ends[0];
    }
    ~Child() {
        if (pid_ > 0) finish();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// False when the program reads no more.
    bool write(std::string_view text) const {
        while (!text.empty()) {
            const ssize_t written = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (written < 0) return false;
            text.remove_prefix(static_cast<std::size_t>(written));
        }
        return true;
    }

    /// What comes until a line is `last`, or until the end: then `ended`.
    std::string read_until(std::string_view last, bool& ended) const {
        std::string text;
        ended = false;
        const std::string line = fmt::format("{}\n", last);
        while (last.empty() || !text.ends_with(line)) {
            std::array<char, 4096> part{};
            const ssize_t size = ::read(socket_, part.data(), part.size());
            if (size < 0 && errno == EINTR) continue;
            ended = size <= 0;
            if (ended) return text;
            text.append(part.data(), static_cast<std::size_t>(size));
        }
        text.resize(text.size() - line.size());
        return text;
    }

    /// Ends its input, awaits its end; its exit code.
    int finish() {
        ::close(socket_);
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    [[noreturn]] static void become(
        std::vector<char*>& argv, const Services::Environment& environment, int socket
    ) {
        // No death signal: it would come when the thread that forked ends, and a psql serves all of
        // them. When the program ends, what reads its input here sees the end of it.
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            ::dup2(socket, fd);
        for (const auto& [name, value] : environment)
            ::setenv(name.c_str(), value.c_str(), 1);
        ::execvp(argv.front(), argv.data());
        ::_exit(127);
    }

    pid_t pid_ = -1;
    int socket_ = -1;
};

void run_script(Strings args) {
    args.insert(args.begin(), std::string(SOUK_SOURCE_DIR) + "/tests/support/services.sh");
    const std::string line = fmt::format("{}", fmt::join(args, " "));
    Child child(std::move(args), {});
    bool ended = false;
    const std::string output = child.read_until({}, ended);
    const int code = child.finish();
    if (code != 0) throw std::runtime_error(fmt::format("{}: {}\n{}", line, code, output));
}

/// Lines of: export NAME='value'
std::map<std::string, std::string> read_env(const std::filesystem::path& file) {
    constexpr std::string_view word = "export ";
    std::map<std::string, std::string> out;
    std::ifstream in(file);
    if (!in) throw std::runtime_error(file.string() + " cannot be read: no servers run there");
    for (std::string line; std::getline(in, line);) {
        const std::size_t equals = line.find("='");
        if (!line.starts_with(word) || equals == std::string::npos) continue;
        out.emplace(
            line.substr(word.size(), equals - word.size()),
            line.substr(equals + 2, line.size() - equals - 3)
        );
    }
    return out;
}

std::string with_module(std::string url, std::string_view module) {
    constexpr std::string_view placeholder = "{module}";
    for (std::size_t at = 0; (at = url.find(placeholder)) != std::string::npos;)
        url.replace(at, placeholder.size(), module);
    return url;
}

/// scheme://user:password@host:port/path
struct Address {
    explicit Address(const std::string& url) {
        const std::size_t user_at = url.find("://") + 3;
        const std::size_t at = url.rfind('@');
        const std::size_t slash = url.find('/', at);
        const std::string login = url.substr(user_at, at - user_at);
        const std::string server = url.substr(at + 1, slash - at - 1);
        user = login.substr(0, login.find(':'));
        password = login.substr(login.find(':') + 1);
        host = server.substr(0, server.find(':'));
        port = server.substr(server.find(':') + 1);
        path = url.substr(slash + 1);
    }
    std::string user, password, host, port, path;
};

/// A psql that waits for the next statement: a new one takes 20 ms, a statement 1 ms.
class Psql {
public:
    explicit Psql(const std::string& url)
        : child_(
              {"psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"},
              environment_for(Address(url))
          ) {}

    void run(const std::string& sql) {
        constexpr std::string_view done = "=done=";
        bool ended = !child_.write(fmt::format("{}\n\\echo {}\n", sql, done));
        std::string output;
        if (!ended) output = child_.read_until(done, ended);
        if (ended)
            throw std::runtime_error(
                fmt::format("psql ended with {}: {}\n{}", child_.finish(), sql, output)
            );
    }

private:
    static Services::Environment environment_for(const Address& address) {
        return {
            {"PGHOST", address.host},
            {"PGPORT", address.port},
            {"PGUSER", address.user},
            {"PGPASSWORD", address.password},
            {"PGDATABASE", address.path},
            {"PGOPTIONS", "-cclient_min_messages=warning -clock_timeout=10s"},
            {"PGCONNECT_TIMEOUT", "10"}};
    }

    Child child_;
};

std::filesystem::path new_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "souk-servers.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw system_fault(name);
    ::chmod(name.c_str(), 0711);  // the servers are other users when this one is root
    return name;
}

}  // namespace

struct Services::State {
    State(std::filesystem::path folder, bool own) : folder(std::move(folder)), own(own) {}

    const std::string& variable(const std::string& name) const {
        const auto it = env.find(name);
        if (it == env.end()) throw std::runtime_error(name + ": that server was not asked for");
        return it->second;
    }
    bool has(const std::string& name) const { return env.contains(name); }

    void sql(std::unique_ptr<Psql>& psql, const std::string& url, const std::string& text) const {
        if (psql == nullptr) psql = std::make_unique<Psql>(url);
        try {
            psql->run(text);
        } catch (const std::exception&) {
            psql.reset();  // it ends at the first fault
            throw;
        }
    }
    void admin_sql(const std::string& text) {
        sql(admin, variable("SOUK_POSTGRES_ADMIN_URL"), text);
    }
    void drop_shop(const std::string& shop) {
        for (const char* module : modules)
            admin_sql(fmt::format("DROP DATABASE IF EXISTS {}_{} WITH (FORCE);", shop, module));
    }

    const std::filesystem::path folder;
    const bool own;
    std::map<std::string, std::string> env;
    std::mutex mutex;  // of what follows
    std::unique_ptr<Psql> admin;
    std::unique_ptr<Psql> common;
    std::deque<std::string> shops;
    Strings schemas;
};

Services& Services::shared() {
    static const std::unique_ptr<Services> services = [] {
        const char* running = std::getenv("SOUK_TEST_SERVICES");
        if (running != nullptr && *running != '\0')
            return std::unique_ptr<Services>(new Services(std::filesystem::path(running)));
        return std::make_unique<Services>(std::vector<Server>{
            Server::postgres, Server::redis, Server::rabbitmq});
    }();
    return *services;
}

Services::Services(std::filesystem::path running)
    : state_(std::make_unique<State>(std::move(running), false)) {
    run_script({"status", state_->folder.string()});
    state_->env = read_env(state_->folder / "env");
}

Services::Services(std::vector<Server> wanted)
    : state_(std::make_unique<State>(new_folder(), true)) {
    // However this program ends, its servers end with it.
    Strings args{"start", "--owner", std::to_string(::getpid()), state_->folder.string()};
    for (std::string& name : names_of(wanted))
        args.push_back(std::move(name));
    run_script(std::move(args));
    state_->env = read_env(state_->folder / "env");
}

Services::~Services() {
    try {
        if (state_->own) {
            state_->admin.reset();
            state_->common.reset();
            run_script({"remove", state_->folder.string()});
            return;
        }
        for (const std::string& shop : state_->shops)
            state_->drop_shop(shop);
        for (const std::string& schema : state_->schemas)
            state_->sql(
                state_->common,
                with_module(state_->variable("DATABASE_URL"), "test"),
                fmt::format("DROP SCHEMA {} CASCADE;", schema)
            );
    } catch (const std::exception& fault) {
        fmt::print(stderr, "the test servers were not tidied up: {}\n", fault.what());
    }
}

Services::Environment Services::fresh_shop() {
    const std::lock_guard lock(state_->mutex);
    const std::string shop = random_name("t");
    Environment out;
    if (state_->has("DATABASE_URL")) {
        while (state_->shops.size() >= shops_kept) {
            state_->drop_shop(state_->shops.front());
            state_->shops.pop_front();
        }
        state_->shops.push_back(shop);
        for (const char* module : modules) {
            const std::string name = fmt::format("{}_{}", shop, module);
            state_->admin_sql(fmt::format("CREATE DATABASE {} OWNER souk_{};", name, module));
            state_->admin_sql(fmt::format("REVOKE ALL ON DATABASE {} FROM PUBLIC;", name));
        }
        const std::string& url = state_->variable("DATABASE_URL");
        out.emplace_back(
            "DATABASE_URL", fmt::format("{}/{}_{{module}}", url.substr(0, url.rfind('/')), shop)
        );
    }
    if (state_->has("REDIS_URL")) {
        out.emplace_back("REDIS_URL", redis_url());
        out.emplace_back("SOUK__REDIS__PREFIX", shop + ":");
    }
    if (state_->has("RABBITMQ_URL")) {
        out.emplace_back("RABBITMQ_URL", rabbitmq_url());
        out.emplace_back("SOUK__RABBITMQ__PREFIX", shop);
    }
    return out;
}

std::string Services::fresh_schema() {
    const std::lock_guard lock(state_->mutex);
    const std::string url = with_module(state_->variable("DATABASE_URL"), "test");
    const std::string name = random_name("s");
    state_->sql(state_->common, url, fmt::format("CREATE SCHEMA {};", name));
    state_->schemas.push_back(name);
    return fmt::format("{}?options=-csearch_path%3D{}", url, name);
}

std::string Services::postgres_admin_url() const {
    return state_->variable("SOUK_POSTGRES_ADMIN_URL");
}

std::string Services::redis_url() const {
    return state_->variable("REDIS_URL");
}

std::string Services::rabbitmq_url() const {
    return state_->variable("RABBITMQ_URL");
}

std::uint16_t Services::port(Server server) const {
    const std::map<Server, std::string> variables = {
        {Server::postgres, "SOUK_POSTGRES_ADMIN_URL"},
        {Server::redis, "REDIS_URL"},
        {Server::rabbitmq, "RABBITMQ_URL"}};
    const Address address(state_->variable(variables.at(server)));
    return static_cast<std::uint16_t>(std::stoi(address.port));
}

void Services::kill(Server server) {
    if (!state_->own) throw std::logic_error("the shared servers are not to be killed");
    run_script({"kill", state_->folder.string(), std::string(name_of(server))});
}

void Services::freeze(Server server) {
    if (!state_->own) throw std::logic_error("the shared servers are not to be frozen");
    run_script({"freeze", state_->folder.string(), std::string(name_of(server))});
}

void Services::thaw(Server server) {
    run_script({"thaw", state_->folder.string(), std::string(name_of(server))});
}

void Services::start(Server server) {
    const std::lock_guard lock(state_->mutex);
    if (server == Server::postgres) {
        state_->admin.reset();
        state_->common.reset();
    }
    run_script({"start", state_->folder.string(), std::string(name_of(server))});
    const auto now = read_env(state_->folder / "env");
    if (now != state_->env) throw std::runtime_error("a server came back on another port");
}

}  // namespace souk::test
