// A server on threads of its own, and a blocking socket to talk to it byte by byte: what a
// well-behaved client would never send has to be sent by hand.
#pragma once

#include "base/system_clock.hpp"
#include "http/server.hpp"
#include "observe/prometheus_metrics.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace souk::http::test {

/// A thread with an io_context, as souk serves with.
class Loop {
public:
    Loop() : thread_([this] { context_.run(); }) {}
    ~Loop() { end(); }
    Executor executor() { return context_.get_executor(); }
    void end() {
        guard_.reset();
        context_.stop();
        if (thread_.joinable()) thread_.join();
    }

private:
    asio::io_context context_{1};
    asio::executor_work_guard<Executor> guard_{context_.get_executor()};
    std::thread thread_;  // last: it runs the context
};

/// Runs `work` on `executor` and waits for its result.
template <class T>
T run(const Executor& executor, Task<T> work) {
    return asio::co_spawn(executor, std::move(work), asio::use_future).get();
}

class TestServer {
public:
    explicit TestServer(
        Routes routes,
        ServerOptions options = {},
        Edge* edge = nullptr,
        Clock* clock = nullptr,
        std::size_t threads = 1,
        std::vector<Descriptor> adopted = {}  // instead of listening itself
    );
    ~TestServer();

    std::uint16_t port() const { return server_->port(); }
    Executor executor() { return loops_.front()->executor(); }
    Server& server() { return *server_; }
    void stop(milliseconds within = milliseconds(5'000));
    std::string metrics() const { return metrics_->expose(); }
    Clock& clock() { return *clock_; }
    const Router& router() const { return router_; }

private:
    Clock* clock_;
    std::unique_ptr<Metrics> metrics_;
    Router router_;
    std::vector<std::unique_ptr<Loop>> loops_;
    std::unique_ptr<Server> server_;
    bool stopped_ = false;
};

/// A blocking connection. Every wait ends after 10 s with a failed test.
class Wire {
public:
    explicit Wire(std::uint16_t port);
    explicit Wire(const std::filesystem::path& unix_socket);
    ~Wire();
    Wire(const Wire&) = delete;

    void send(std::string_view bytes);
    /// One whole response (head and as many bytes as Content-Length says); empty at the end.
    std::string response(bool head_only = false);
    /// All until the server closes.
    std::string rest();
    /// What is there, or comes next; empty at the end.
    std::string some();
    /// As much of it as the socket takes without waiting.
    std::size_t try_send(std::string_view bytes);
    bool closed();
    void shutdown_send();
    void reset();                                  // closes with RST
    bool was_reset() const { return was_reset_; }  // by the server

private:
    bool fill();
    int fd_ = -1;
    bool was_reset_ = false;
    std::string buffer_;
};

/// "HTTP/1.1 404 Not Found..." → 404; 0 for what is no response.
int status_of(std::string_view response);
std::string field_of(std::string_view response, std::string_view name);
std::string body_of(std::string_view response);
std::size_t count_of(std::string_view text, std::string_view part);

/// Waits (10 s at most) until `done`.
template <class F>
bool eventually(F done) {
    for (int i = 0; i < 2'000; ++i) {
        if (done()) return true;
        std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
}

/// GET /hello, POST /echo (any body up to 1 KiB), POST /orders (key, JSON), GET /items/{id} (ETag),
/// GET /boom (throws), GET /away (503), GET /refused (409), and what they counted.
struct Shop {
    std::atomic<int> hellos = 0;
    std::atomic<int> echoes = 0;
    std::atomic<int> sentinels = 0;  // GET /sentinel, which no test may reach by smuggling
    Routes routes();
};

}  // namespace souk::http::test
