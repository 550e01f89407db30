// The shop as six processes of one binary on PostgreSQL, RabbitMQ and Redis: the gateway and a
// process a module, each with a data folder, a certificate and a log of its own, started in any
// order, killed and started again on the same ports. SOUK_TEST_STACK=split lets SoukProcess, and so
// every test that asks for "the shop", be one of these.
#pragma once

#include "process.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

/// What --modules= takes; the gateway first.
inline constexpr std::array<std::string_view, 6> roles = {
    "gateway", "user", "product", "order", "payment", "notification"};

/// The files of `souk dev-certs`, made once a test program: an authority, a certificate a role and
/// for the operator, the gateway's key.
const std::filesystem::path& dev_certificates();

/// A port that nobody else takes while this lives, though nobody listens there: one below the range
/// from which the system takes the clients' own, bound, so that others find it taken, and shared
/// (SO_REUSEADDR), so that a process that is told of it can listen.
class ReservedPort {
public:
    ReservedPort();
    ~ReservedPort();
    ReservedPort(const ReservedPort&) = delete;
    ReservedPort& operator=(const ReservedPort&) = delete;
    std::uint16_t number() const { return number_; }

private:
    int socket_ = -1;
    std::uint16_t number_ = 0;
};

class SplitShop {
public:
    /// `stack`: what Services::fresh_shop() gave. `args` go to all six, but for http.port, which is
    /// the gateway's.
    explicit SplitShop(Environment stack, std::vector<std::string> args = {});
    ~SplitShop();  // kills what runs; shows the logs when the test failed
    SplitShop(const SplitShop&) = delete;
    SplitShop& operator=(const SplitShop&) = delete;

    SoukProcess& process(std::string_view role);
    const SoukProcess& process(std::string_view role) const;
    SoukProcess& gateway() { return process("gateway"); }
    const SoukProcess& gateway() const { return process("gateway"); }
    /// Where peers find that module.
    std::uint16_t internal_port(std::string_view role) const;

    /// For the next start of that role alone, beside what all have: "SOUK__PEERS__PRODUCT" and the
    /// like. Replaces what was set for it before.
    void set_environment(std::string_view role, Environment environment);
    /// For the next start of all, beside what each has.
    void set_environment(Environment environment);
    /// Those that do not run, all at once; returns when all are ready. Throws as
    /// SoukProcess::start().
    void start();
    /// Without waiting.
    void launch();

    // All six together, as SoukProcess does it with one.
    void kill_hard();
    void send(int signal);
    /// After send(): the end of all; else the end of one, while the others go on. The first exit
    /// code that is not 0.
    int wait();
    int stop();
    /// All of them.
    bool running();
    std::string log() const;

    /// `souk <command> <args>` to its end: `serve` and `healthcheck` as the gateway's process, all
    /// else as the operator, who speaks to the peers with a certificate; or, while the gateway does
    /// not run, as the whole shop on the servers of the six.
    Finished run(const std::string& command, std::vector<std::string> args) const;

    /// What the process of that role, or the "operator", is told: the servers, all peers, its own
    /// certificate.
    Environment environment_of(std::string_view role) const;

private:
    void hand_out(std::string_view role);

    const Environment stack_;
    std::map<std::string, ReservedPort, std::less<>> ports_;  // the gateway's is the public one
    std::map<std::string, std::unique_ptr<SoukProcess>, std::less<>> processes_;
    std::map<std::string, Environment, std::less<>> own_;
    Environment common_;
    TempFolder operator_folder_;
    bool ending_ = false;
};

/// The logs of all SplitShops that there are, shortened, to standard error.
void show_split_logs();

}  // namespace souk::test
