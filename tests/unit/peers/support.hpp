// Peers in this process, over real sockets: servers as souk runs them on the internal listener,
// servers that misbehave as told, and a remote with a thread of its own.
#pragma once

#include "base/system_clock.hpp"
#include "http/server.hpp"
#include "observe/prometheus_metrics.hpp"
#include "peers/http_remote.hpp"
#include "peers/peer_edge.hpp"
#include "security/tokens.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace souk::peers::test {

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

template <class T>
std::future<T> start(const Executor& executor, Task<T> work) {
    return asio::co_spawn(executor, std::move(work), asio::use_future);
}

template <class F>
bool eventually(F done) {
    for (int i = 0; i < 2'000; ++i) {
        if (done()) return true;
        std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
}

inline const std::string key = "the key that all peers share";
const security::SigningKeyPair& gateway_key();

/// What the last call brought along.
struct Seen {
    std::atomic<int> calls = 0;
    std::atomic<int> held = 0;  // calls that wait for release()
    std::atomic<bool> hold = false;
    std::mutex mutex;
    Identity identity;
    std::string identity_token;
    std::string request_id;
    std::string traceparent;
    microseconds time_left{0};
};

/// The Api of a module "shop": echo (its arguments), nothing (204), out_of_stock (a typed error),
/// hold (waits until told); and of the public API what is for staff, a body that streams back, and
/// for everybody quick, held (as hold), wide (60,000 bytes) and long (100,000).
http::Routes shop_routes(Seen& seen);

class PeerServer {
public:
    explicit PeerServer(http::ServerOptions options = {}, http::Edge* edge = nullptr);
    ~PeerServer();
    void stop();
    std::uint16_t port() const { return server_->port(); }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
    Seen seen;

private:
    PeerEdge edge_;
    std::unique_ptr<Metrics> metrics_;
    http::Router router_;
    Loop loop_;
    std::unique_ptr<http::Server> server_;
    bool stopped_ = false;
};

/// A server that says what it is told, the same for every request of every connection, each on a
/// thread of its own. "" hangs up without a word; `silence` accepts and never answers.
class Scripted {
public:
    static constexpr std::string_view silence = "...";
    explicit Scripted(std::string answer);
    ~Scripted();
    std::uint16_t port() const { return port_; }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::atomic<int> connections = 0;
    std::atomic<int> requests = 0;
    std::atomic<int> ended = 0;  // connections that the other side closed
    std::atomic<bool> hang_up_after_answer = false;
    std::atomic<int> garbage_every = 0;    // each so manieth request is answered with rubbish
    std::atomic<int> answers = 1'000'000;  // a connection's; at the next request it hangs up

private:
    void serve(int socket);
    const std::string answer_;
    std::uint16_t port_ = 0;  // before the listener, which sets it
    int listener_;
    std::atomic<bool> ended_ = false;
    std::mutex mutex_;
    std::vector<int> sockets_;
    std::vector<std::thread> workers_;
    std::thread acceptor_;
};

/// A port on which nobody listens.
std::uint16_t dead_port();

/// Listens, accepts nothing, and its queue is full.
class FullListener {
public:
    FullListener();
    ~FullListener();
    FullListener(const FullListener&) = delete;
    std::uint16_t port() const { return port_; }

private:
    std::uint16_t port_ = 0;
    std::vector<int> sockets_;
};

/// Names as the test says.
class Names final : public Resolver {
public:
    Task<Result<std::vector<asio::ip::address>>> resolve(std::string host) override;
    void set(const std::string& host, std::vector<std::string> addresses);
    std::atomic<int> asked = 0;

private:
    std::mutex mutex_;
    std::map<std::string, std::vector<asio::ip::address>> known_;
};

Task<Result<json::value>> call_with(
    Remote& remote, std::string method, CallContext context, json::value arguments
);

/// A remote to "shop" and the thread that calls it.
class Caller {
public:
    explicit Caller(std::string addresses, RemoteOptions options = {}, Resolver* names = nullptr);
    ~Caller();
    std::future<Result<json::value>> start_call(
        std::string method, CallContext context, json::value arguments = json::object()
    );
    Result<json::value> call(std::string method, milliseconds within = milliseconds(5'000));
    Result<json::value> call(std::string method, CallContext context);
    Result<http::Response> forward(std::shared_ptr<Outgoing> request);
    /// All that `stream` has.
    Result<std::string> read(std::shared_ptr<http::BodyStream> stream);
    void stop();
    std::string metrics() const { return metrics_->expose(); }
    CallContext context(milliseconds within = milliseconds(5'000)) const;

private:
    std::unique_ptr<Metrics> metrics_;
    std::unique_ptr<Resolver> system_;
    Loop loop_;
    std::unique_ptr<HttpRemote> remote_;
};

/// The value of a line in the exposition; -1 when it is not there.
double metric(const std::string& exposition, std::string_view line);

}  // namespace souk::peers::test
