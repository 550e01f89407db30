// The souk binary as a child process on a folder of its own: started on free ports, killed, started
// again, stopped. And HTTP to it, awaited for the test. What it stands on is chosen for the whole
// test program by SOUK_TEST_STACK: "embedded" (the default), or "servers", where each process gets
// databases and names of its own on the test run's PostgreSQL, Redis and RabbitMQ.
#pragma once

#include "souk/http.hpp"
#include "temp_folder.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
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

/// Whether SOUK_TEST_STACK says so.
bool on_servers();

class SoukProcess;

/// Names the process beside which another shall run as one shop: same servers, shared files.
struct ReplicaOf {
    explicit ReplicaOf(const SoukProcess& first) : first(first) {}
    const SoukProcess& first;
};

class SoukProcess {
public:
    /// `args` come after `serve --data ... --port 0 --metrics-port 0`. Does not start it yet.
    explicit SoukProcess(std::vector<std::string> args = {});
    /// On servers that the test chose: `stack` is what Services::fresh_shop() gave.
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
    /// process ends before, or after 20 s.
    void start();
    /// Starts without waiting: for a process that is to fail.
    void launch();
    void kill_hard();  // SIGKILL, and waits for the end
    void send(int signal);
    int wait();  // the exit code, or 128 + the signal
    int stop();  // SIGTERM, then wait()
    bool running();

    const std::filesystem::path& data() const { return data_; }
    /// Where the modules' files are: data(), or the first replica's.
    const std::filesystem::path& files() const { return files_; }
    std::string log() const;  // standard output and error so far
    pid_t pid() const { return pid_; }
    std::uint16_t port() const { return port_; }
    std::uint16_t metrics_port() const { return metrics_port_; }
    std::string url() const;

    /// One request on a connection of its own. Throws std::runtime_error when nobody answers.
    http::Response get(const std::string& target, http::Headers headers = {}) const;
    http::Response post(
        const std::string& target, const std::string& body, http::Headers headers = {}
    ) const;
    http::Response get_metrics(const std::string& target) const;

private:
    bool read_announcement();

    TempFolder folder_;
    std::filesystem::path data_;
    std::filesystem::path files_;
    std::vector<std::string> args_;
    Environment stack_;
    Environment environment_;
    pid_t pid_ = -1;
    std::uint16_t port_ = 0;
    std::uint16_t metrics_port_ = 0;
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
