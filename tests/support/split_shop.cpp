#include "split_shop.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <exception>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

namespace souk::test {
namespace {

constexpr std::chrono::milliseconds look_again{10};
constexpr std::size_t shown_of_a_log = 4000;

struct Living {
    std::mutex mutex;
    std::set<const SplitShop*> shops;
};

Living& living() {
    static Living all;
    return all;
}

/// `args` without what only the gateway may have.
std::vector<std::string> for_modules(const std::vector<std::string>& args) {
    std::vector<std::string> out;
    for (const std::string& arg : args) {
        if (arg.starts_with("http.port="))
            out.pop_back();  // its --set
        else
            out.push_back(arg);
    }
    return out;
}

std::string upper(std::string_view name) {
    std::string out(name);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    return out;
}

std::vector<std::string> args_of(
    std::string_view role, std::uint16_t port, const std::vector<std::string>& args
) {
    std::vector<std::string> out = {"--modules", std::string(role), "--set"};
    if (role == "gateway") {
        out.push_back(fmt::format("http.port={}", port));
        out.insert(out.end(), args.begin(), args.end());
    } else {
        out.push_back(fmt::format("internal.port={}", port));
        const auto common = for_modules(args);
        out.insert(out.end(), common.begin(), common.end());
    }
    return out;
}

std::string end_of(const std::string& text) {
    if (text.size() <= shown_of_a_log) return text;
    return "...\n" + text.substr(text.find('\n', text.size() - shown_of_a_log) + 1);
}

}  // namespace

const std::filesystem::path& dev_certificates() {
    static const TempFolder folder;
    static const std::filesystem::path certificates = [] {
        const auto path = folder.path() / "certs";
        const Finished made = run_souk({"dev-certs", path.string()});
        if (made.code != 0) throw std::runtime_error("souk dev-certs: " + made.out);
        return path;
    }();
    return certificates;
}

ReservedPort::ReservedPort() {
    std::random_device random;
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    for (int tries = 0; tries < 1000; ++tries) {
        number_ = static_cast<std::uint16_t>(20000 + random() % 10000);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(number_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        // Shared only afterwards: taking it must fail where anybody else has it.
        if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) continue;
        ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        return;
    }
    ::close(socket_);
    throw std::runtime_error("no free port");
}

ReservedPort::~ReservedPort() {
    ::close(socket_);
}

SplitShop::SplitShop(Environment stack, std::vector<std::string> args) : stack_(std::move(stack)) {
    for (const std::string_view role : roles)
        ports_[std::string(role)];
    for (const std::string_view role : roles)
        processes_[std::string(role)] = std::make_unique<SoukProcess>(
            environment_of(role), args_of(role, internal_port(role), args)
        );
    const std::lock_guard lock(living().mutex);
    living().shops.insert(this);
}

SplitShop::~SplitShop() {
    if (std::uncaught_exceptions() > 0) fmt::print(stderr, "{}", log());
    const std::lock_guard lock(living().mutex);
    living().shops.erase(this);
}

SoukProcess& SplitShop::process(std::string_view role) {
    return *processes_.find(role)->second;
}

const SoukProcess& SplitShop::process(std::string_view role) const {
    return *processes_.find(role)->second;
}

std::uint16_t SplitShop::internal_port(std::string_view role) const {
    return ports_.find(role)->second.number();
}

Environment SplitShop::environment_of(std::string_view role) const {
    Environment out = stack_;
    const auto file = [](std::string_view name, std::string_view kind) {
        return (dev_certificates() / fmt::format("{}.{}", name, kind)).string();
    };
    for (const std::string_view peer : roles)
        if (peer != "gateway")
            out.emplace_back(
                "SOUK__PEERS__" + upper(peer),
                fmt::format("https://127.0.0.1:{}", internal_port(peer))
            );
    out.emplace_back("SOUK__INTERNAL__CA_FILE", file("ca", "crt"));
    out.emplace_back("SOUK__INTERNAL__CERTIFICATE_FILE", file(role, "crt"));
    out.emplace_back("SOUK__INTERNAL__KEY_FILE", file(role, "key"));
    if (role == "gateway")
        out.emplace_back("SOUK__INTERNAL__IDENTITY_KEY_FILE", file("identity", "key"));
    else if (role != "operator")
        out.emplace_back("SOUK__INTERNAL__IDENTITY_PUBLIC_FILE", file("identity", "pub"));
    return out;
}

void SplitShop::set_environment(std::string_view role, Environment environment) {
    own_[std::string(role)] = std::move(environment);
    hand_out(role);
}

void SplitShop::set_environment(Environment environment) {
    common_ = std::move(environment);
    for (const std::string_view role : roles)
        hand_out(role);
}

void SplitShop::hand_out(std::string_view role) {
    Environment all = common_;
    const Environment& own = own_[std::string(role)];
    all.insert(all.end(), own.begin(), own.end());
    process(role).set_environment(std::move(all));
}

void SplitShop::launch() {
    ending_ = false;
    for (auto& [role, process] : processes_) {
        if (process->running()) continue;
        if (process->pid() > 0) process->wait();  // it died unseen
        process->launch();
    }
}

void SplitShop::start() {
    launch();
    try {
        for (auto& [role, process] : processes_)
            process->await_ready();
    } catch (const std::exception&) {
        show_split_logs();
        throw;
    }
}

void SplitShop::kill_hard() {
    for (auto& [role, process] : processes_)
        if (process->pid() > 0) process->kill_hard();
}

void SplitShop::send(int signal) {
    ending_ = true;
    for (auto& [role, process] : processes_)
        if (process->pid() > 0) process->send(signal);
}

int SplitShop::wait() {
    int code = 0;
    if (ending_) {
        for (auto& [role, process] : processes_) {
            const int ended = process->pid() > 0 ? process->wait() : 0;
            if (code == 0) code = ended;
        }
        ending_ = false;
        return code;
    }
    for (;;) {
        for (auto& [role, process] : processes_)
            if (process->pid() > 0 && !process->running()) return process->wait();
        std::this_thread::sleep_for(look_again);
    }
}

int SplitShop::stop() {
    send(SIGTERM);
    return wait();
}

bool SplitShop::running() {
    return std::all_of(processes_.begin(), processes_.end(), [](auto& each) {
        return each.second->running();
    });
}

std::string SplitShop::log() const {
    std::string out;
    for (const std::string_view role : roles)
        out += fmt::format("---- {}\n{}", role, process(role).log());
    return out;
}

Finished SplitShop::run(const std::string& command, std::vector<std::string> args) const {
    if (command == "healthcheck") return gateway().run(command, std::move(args));
    if (command == "serve") {
        args.insert(args.begin(), {"--modules", "gateway"});
        return gateway().run(command, std::move(args));
    }
    args.insert(args.begin(), {command, "--data", (operator_folder_.path() / "none").string()});
    return run_souk(args, gateway().pid() > 0 ? environment_of("operator") : stack_);
}

void show_split_logs() {
    const std::lock_guard lock(living().mutex);
    for (const SplitShop* shop : living().shops)
        for (const std::string_view role : roles)
            fmt::print(stderr, "---- {}\n{}", role, end_of(shop->process(role).log()));
}

}  // namespace souk::test
