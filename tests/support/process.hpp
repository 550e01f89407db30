// The souk binary as a child process on a folder of its own: started on free ports, killed, started
// again, stopped. And HTTP to it, awaited for the test.
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

/// Runs the binary with `args` to its end. `environment` is added to this process' own.
Finished run_souk(
    const std::vector<std::string>& args,
    const std::vector<std::pair<std::string, std::string>>& environment = {}
);

class SoukProcess {
public:
    /// `args` come after `serve --data ... --port 0 --metrics-port 0`. Does not start it yet.
    explicit SoukProcess(std::vector<std::string> args = {});
    ~SoukProcess();  // kills what runs
    SoukProcess(const SoukProcess&) = delete;
    SoukProcess& operator=(const SoukProcess&) = delete;

    /// For the next start(): SOUK_FAILPOINTS and the like.
    void set_environment(std::vector<std::pair<std::string, std::string>> environment);
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
    std::vector<std::string> args_;
    std::vector<std::pair<std::string, std::string>> environment_;
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
