#include "http/worker.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace souk::http {
namespace {

namespace ip = asio::ip;
using boost::system::error_code;

/// A sweep is cheap and need not be exact, but tests have limits of a few milliseconds.
microseconds tick_of(const ServerLimits& limits) {
    milliseconds shortest = std::min(
        {limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout}
    );
    // No grace needs no sweep: begin_drain() ends who is idle.
    if (limits.drain_grace > milliseconds(0)) shortest = std::min(shortest, limits.drain_grace);
    return std::clamp<microseconds>(shortest / 4, milliseconds(2), milliseconds(500));
}

std::string address_of(const Protocol::endpoint& peer) {
    if (peer.data()->sa_family == AF_UNIX) return "unix";
    ip::tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), peer.data(), std::min(endpoint.capacity(), peer.size()));
    return unmapped(endpoint.address()).to_string();
}

/// The best that can be said to a connection that there is no room for; losing it is all right.
void refuse_connection(Socket& socket) {
    constexpr std::string_view answer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
        "Connection: close\r\n\r\n";
    ::send(socket.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

bool Shared::enter(const std::string& key) {
    std::lock_guard lock(mutex_);
    if (connections_ >= options.limits.connections) return false;
    if (!key.empty()) {
        auto& count = by_address_[key];
        if (count >= options.limits.connections_per_address) return false;
        ++count;
    }
    ++connections_;
    return true;
}

void Shared::leave(const std::string& key) {
    std::lock_guard lock(mutex_);
    --connections_;
    if (key.empty()) return;
    auto it = by_address_.find(key);
    if (--it->second == 0) by_address_.erase(it);
}

std::string Shared::key_of(std::string_view peer) const {
    error_code ec;
    const auto address = ip::make_address(std::string(peer), ec);
    if (ec || trusted.contains(address)) return {};
    if (address.is_v4()) return std::string(peer);
    return ip::make_network_v6(address.to_v6(), 64).canonical().to_string();
}

Worker::Worker(
    Executor executor,
    std::shared_ptr<Shared> shared,
    const Router& router,
    Edge* edge,
    Metrics& metrics,
    std::size_t in_flight
)
    : executor_(executor)
    , shared_(std::move(shared))
    , dispatcher_(
          router,
          edge,
          shared_->clock,
          metrics,
          shared_->options.name,
          shared_->options.access_log,
          in_flight
      )
    , tick_(tick_of(shared_->options.limits))
    , emptied_(base::Signal::make(executor))
    , tasks_done_(base::Signal::make(executor)) {}

void Worker::start(std::vector<Acceptor> acceptors) {
    acceptors_ = std::move(acceptors);
    for (Acceptor& acceptor : acceptors_) {
        ++tasks_;
        ++accepting_;
        asio::co_spawn(executor_, accept_all(shared_from_this(), acceptor), asio::detached);
    }
    ++tasks_;
    auto handler = asio::bind_cancellation_slot(stop_sweep_.slot(), asio::detached);
    asio::co_spawn(executor_, sweep(shared_from_this()), handler);
}

Task<void> Worker::accept_all([[maybe_unused]] std::shared_ptr<Worker> self, Acceptor& acceptor) {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (!draining_) {
        Protocol::endpoint peer;
        auto socket = co_await acceptor.async_accept(peer, token);
        if (!ec) {
            take(std::move(socket), peer);  // also when draining: it has left the queue
            continue;
        }
        if (draining_) break;
        // Out of descriptors, or the peer left before its turn: the acceptor itself is sound.
        Logger("http").warn("accept failed", {{"error", ec.message()}});
        co_await clock().sleep(milliseconds(50));
    }
    --accepting_;
    check_emptied();
    task_ended();
}

/// Takes who has connected already: closing the socket would reset them, whatever they have sent.
void Worker::take_queue(Acceptor& acceptor) {
    error_code ec;
    acceptor.non_blocking(true, ec);
    while (!ec) {
        Protocol::endpoint peer;
        Socket socket(executor_);
        acceptor.accept(socket, peer, ec);
        if (!ec) take(std::move(socket), peer);
    }
}

void Worker::take(Socket socket, const Protocol::endpoint& peer) {
    auto address = address_of(peer);
    auto key = shared_->key_of(address);
    if (!shared_->enter(key)) {
        refuse_connection(socket);
        return;
    }
    error_code ignored;  // not for Unix sockets
    socket.set_option(ip::tcp::no_delay(true), ignored);
    serve(shared_from_this(), std::move(socket), std::move(address), std::move(key));
}

Task<void> Worker::sweep([[maybe_unused]] std::shared_ptr<Worker> self) {
    while (!finished_) {
        co_await clock().sleep(tick_);
        const auto now = clock().steady();
        for (auto* connection : connections_)
            connection->expire(now);
        if (draining_ && now >= drain_until_) emptied_->set();
    }
    task_ended();
}

void Worker::task_ended() {
    if (--tasks_ == 0) tasks_done_->set();
}

void Worker::remove(Watched& connection) {
    connections_.erase(&connection);
    check_emptied();
}

void Worker::check_emptied() {
    if (draining_ && accepting_ == 0 && connections_.empty()) emptied_->set();
}

void Worker::begin_drain(Deadline deadline, bool handed_on) {
    if (draining_) return;
    draining_ = true;
    drain_until_ = deadline.at();
    const SteadyTime now = clock().steady();
    grace_until_ = std::min(drain_until_, now + limits().drain_grace);
    for (Acceptor& acceptor : acceptors_) {
        if (!handed_on) take_queue(acceptor);
        // Not close(): while a successor holds a copy, the kernel would go on to tell our epoll
        // set of what happens there. release() takes the socket out of the set.
        error_code ec;
        const Descriptor closed(acceptor.release(ec));
    }
    for (auto* connection : connections_) {
        connection->drain(grace_until_);
        connection->expire(now);  // where there is no grace, idle ones end at once
    }
    check_emptied();
}

Task<void> Worker::drained() {
    auto self = shared_from_this();
    co_await emptied_->wait();
    for (auto* connection : connections_)
        connection->abort();
    if (finished_) co_return;
    finished_ = true;
    stop_sweep_.emit(asio::cancellation_type::terminal);
    if (tasks_ > 0) co_await tasks_done_->wait();
}

}  // namespace souk::http
