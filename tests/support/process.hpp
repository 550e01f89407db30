// The souk binary as a child process on a folder of its own: started on free ports, killed, started
// again, stopped. And HTTP to it, awaited for the test. What it stands on is chosen for the whole
// test program by SOUK_TEST_STACK: "embedded" (the default), "servers", where each process gets
// databases and names of its own on the test run's PostgreSQL, Redis and RabbitMQ, or "split",
// where the shop is six processes on these servers (split_shop.hpp) and only its gateway is spoken
// to.
#pragma once

#include "souk/http.hpp"
#include "temp_folder.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk::test {

/// What a command printed, and how it ended.
struct Finished {
    int code = -1;    // the exit code, or 128 + the signal
    std::string out;  // standard output and error together
};

using Environment = std::vector<std::pair<std::string, std::string>>;

/// Runs the binary with `args` to its end. `environment` is added to this process' own.
Finished run_souk(const std::vector<std::string>& args, const Environment& environment = {});

/// Whether SOUK_TEST_STACK says "servers" or "split".
bool on_servers();
/// Whether it says "split".
bool in_parts();

class SoukProcess;
class SplitShop;

/// Names the process beside which another shall run as one shop: same servers, shared files.
struct ReplicaOf {
    explicit ReplicaOf(const SoukProcess& first) : first(first) {}
    const SoukProcess& first;
};

/// Six processes, whatever SOUK_TEST_STACK says.
struct InParts {};

class SoukProcess {
public:
    /// The shop. `args` come after `serve --data ... --port 0 --metrics-port 0`. Does not start it
    /// yet. In a split what is done to it is done to all six processes; what is asked of it is
    /// asked of the gateway.
    explicit SoukProcess(std::vector<std::string> args = {});
    SoukProcess(InParts, std::vector<std::string> args);
    /// One process on servers that the test chose: `stack` is what Services::fresh_shop() gave.
    SoukProcess(Environment stack, std::vector<std::string> args);
    SoukProcess(ReplicaOf other, std::vector<std::string> args);
    ~SoukProcess();  // kills what runs
    SoukProcess(const SoukProcess&) = delete;
    SoukProcess& operator=(const SoukProcess&) = delete;

    /// For the next start(): SOUK_FAILPOINTS and the like, beside the stack's.
    void set_environment(Environment environment);
    /// `souk <command> --data <data()> <args>` on the same stack, to its end.
    Finished run(const std::string& command, std::vector<std::string> args) const;
    /// Returns when /health/ready answers 200. Throws std::runtime_error with the log when the
    /// process ends before, or after 20 s. In a split: starts those that do not run.
    void start();
    /// Starts without waiting: for a process that is to fail.
    void launch();
    /// The rest of start() after launch().
    void await_ready();
    /// Lets a successor take over (--takeover). Returns, when that is ready and the process before
    /// it has ended, that one's exit code. Of one process, not of one in parts.
    int replace();
    void kill_hard();  // SIGKILL, and waits for the end
    void send(int signal);
    /// The exit code, or 128 + the signal. In a split without send() before: of the first that
    /// ends.
    int wait();
    int stop();  // SIGTERM, then wait()
    bool running();

    /// The six, when this is them; else null.
    SplitShop* parts() const { return parts_.get(); }
    const std::filesystem::path& data() const;
    /// Where the module's files are: in data(), or the first replica's, or those of its process.
    std::filesystem::path files(std::string_view module) const;
    std::string log() const;  // standard output and error so far
    pid_t pid() const;
    std::uint16_t port() const;
    std::uint16_t metrics_port() const;
    std::string url() const;

    /// One request on a connection of its own. Throws std::runtime_error when nobody answers.
    http::Response get(const std::string& target, http::Headers headers = {}) const;
    http::Response post(
        const std::string& target, const std::string& body, http::Headers headers = {}
    ) const;
    http::Response get_metrics(const std::string& target) const;

private:
    void make_parts(std::vector<std::string> args);
    pid_t begin(const std::vector<std::string>& more) const;
    bool read_announcement();
    bool is_ready() const;
    /// Who is spoken to.
    const SoukProcess& front() const;

    TempFolder folder_;
    std::filesystem::path data_;
    std::filesystem::path files_;
    std::vector<std::string> args_;
    Environment stack_;
    Environment environment_;
    pid_t pid_ = -1;
    std::uint16_t port_ = 0;
    std::uint16_t metrics_port_ = 0;
    std::unique_ptr<SplitShop> parts_;
};

/// One request to 127.0.0.1. Throws std::runtime_error when nobody answers.
http::Response request(
    http::Method method,
    std::uint16_t port,
    const std::string& target,
    std::string body = {},
    http::Headers headers = {}
);

}  // namespace souk::test
