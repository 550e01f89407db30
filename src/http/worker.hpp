// One thread's part of a server: its acceptor, its connections, its dispatcher. All members run on
// the worker's executor. A sweep over the connections enforces their deadlines, which costs a
// request two stores where a timer of its own would cost two system calls.
#pragma once

#include "base/signal.hpp"
#include "http/dispatch.hpp"
#include "http/forwarded.hpp"
#include "http/gate.hpp"
#include "http/serialize.hpp"
#include "http/server.hpp"
#include "http/socket.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace souk::http {

class Tls;

using Acceptor = asio::basic_socket_acceptor<Protocol, Executor>;

/// A connection as its worker sees it.
class Watched {
public:
    virtual ~Watched() = default;
    /// Ends what the connection waits for when that took too long.
    virtual void expire(SteadyTime now) = 0;
    /// One request more at most: a busy connection ends after its answer, an idle one at `until`
    /// unless a request comes.
    virtual void drain(SteadyTime until) = 0;
    /// Ends at once; a handler still running finds nobody to answer.
    virtual void abort() = 0;
};

/// What the threads of one server share: touched when a connection comes or goes, never between.
class Shared {
public:
    Shared(ServerOptions options, Clock& clock, TrustedProxies trusted, std::shared_ptr<Tls> tls)
        : options(std::move(options))
        , clock(clock)
        , trusted(std::move(trusted))
        , tls(std::move(tls)) {}

    /// False when the server, or this address, has as many as it may. An IPv6 client owns a /64.
    bool enter(const std::string& key);
    void leave(const std::string& key);
    /// The key of `peer` for enter(); empty (never limited by address) for proxies and Unix
    /// sockets.
    std::string key_of(std::string_view peer) const;

    const ServerOptions options;
    Clock& clock;
    const TrustedProxies trusted;
    const std::shared_ptr<Tls> tls;  // null: plain sockets

private:
    std::mutex mutex_;
    std::size_t connections_ = 0;
    std::unordered_map<std::string, std::size_t> by_address_;
};

class Worker : public std::enable_shared_from_this<Worker> {
public:
    Worker(
        Executor executor,
        std::shared_ptr<Shared> shared,
        const Router& router,
        Edge* edge,
        Metrics& metrics,
        std::size_t in_flight
    );

    /// Starts to accept from `acceptors`, which listen, and to sweep.
    void start(std::vector<Acceptor> acceptors);
    /// `handed_on`: who waits in the acceptors' queues is a successor's to serve.
    void begin_drain(Deadline deadline, bool handed_on);
    /// Returns when the last connection is gone, or at the deadline.
    Task<void> drained();

    void add(Watched& connection) { connections_.insert(&connection); }
    void remove(Watched& connection);

    const Executor& executor() const { return executor_; }
    bool draining() const { return draining_; }
    /// While draining: until when an idle connection may send a request.
    SteadyTime grace_until() const { return grace_until_; }
    Shared& shared() { return *shared_; }
    Clock& clock() { return shared_->clock; }
    const ServerLimits& limits() const { return shared_->options.limits; }
    Dispatcher& dispatcher() { return dispatcher_; }
    std::string_view date() { return dates_.at(shared_->clock.now()); }

private:
    Task<void> accept_all(std::shared_ptr<Worker> self, Acceptor& acceptor);
    Task<void> sweep(std::shared_ptr<Worker> self);
    void take_queue(Acceptor& acceptor);
    void check_emptied();
    void take(Socket socket, const Protocol::endpoint& peer);
    void task_ended();

    Executor executor_;
    std::shared_ptr<Shared> shared_;
    Dispatcher dispatcher_;
    DateCache dates_;
    std::vector<Acceptor> acceptors_;
    std::unordered_set<Watched*> connections_;
    asio::cancellation_signal stop_sweep_;
    microseconds tick_;
    int tasks_ = 0;      // of accept_all and sweep, those that run
    int accepting_ = 0;  // of accept_all
    bool draining_ = false;
    bool finished_ = false;
    SteadyTime drain_until_ = SteadyTime::max();
    SteadyTime grace_until_ = SteadyTime::max();
    std::shared_ptr<base::Signal> emptied_;
    std::shared_ptr<base::Signal> tasks_done_;
};

/// Serves requests on `socket` until it ends. `peer`: the address without a port, or "unix".
void serve(std::shared_ptr<Worker> worker, Socket socket, std::string peer, std::string key);

}  // namespace souk::http
