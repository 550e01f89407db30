#include "http/server.hpp"

#include "http/tls.hpp"
#include "http/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

namespace souk::http {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Error cannot_listen(const std::string& where, std::string_view why) {
    return Error(
        ErrorKind::unavailable, "listen", "cannot listen on " + where + ": " + std::string(why)
    );
}

/// Binds and listens. `share`: other threads bind the same port.
Result<Descriptor> open_tcp(const Executor& executor, const tcp::endpoint& at, bool share) {
    const auto where = (std::ostringstream() << at).str();
    error_code ec;
    Acceptor acceptor(executor);
    const Protocol protocol(at.protocol());
    acceptor.open(protocol, ec);
    if (!ec) acceptor.set_option(Acceptor::reuse_address(true), ec);
    if (!ec && share) acceptor.set_option(ReusePort(true), ec);
    if (!ec) acceptor.bind(Protocol::endpoint(at), ec);
    if (!ec) acceptor.listen(Acceptor::max_listen_connections, ec);
    if (ec) return cannot_listen(where, ec.message());
    return Descriptor(acceptor.release(ec));
}

std::uint16_t port_of(const Descriptor& socket) {
    tcp::endpoint endpoint;
    socklen_t size = endpoint.capacity();
    ::getsockname(socket.get(), endpoint.data(), &size);
    return endpoint.port();
}

int option_of(const Descriptor& socket, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool is_tcp_listener(const Descriptor& socket) {
    const int family = option_of(socket, SO_DOMAIN);
    return (family == AF_INET || family == AF_INET6) && option_of(socket, SO_ACCEPTCONN) == 1 &&
           option_of(socket, SO_PROTOCOL) == IPPROTO_TCP;
}

/// Its own, so that two threads may accept on one socket.
Result<Acceptor> acceptor_of(const Executor& executor, const Descriptor& socket) {
    error_code ec;
    Acceptor acceptor(executor);
    auto copy = socket.copy();
    const Protocol protocol(option_of(socket, SO_DOMAIN), IPPROTO_TCP);
    acceptor.assign(protocol, copy.get(), ec);
    if (ec) return cannot_listen("a socket", ec.message());
    copy.release();
    return acceptor;
}

/// Removes the socket file of a process that died; refuses when somebody still answers there.
Result<void> clear_stale_socket(const Executor& executor, const std::filesystem::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode)) return cannot_listen(path.string(), "a file is in the way");
    asio::basic_stream_socket<Local, Executor> probe(executor);
    error_code ec;
    probe.connect(Local::endpoint(path.string()), ec);
    if (ec != boost::system::errc::connection_refused)
        return cannot_listen(path.string(), ec ? ec.message() : "another process listens there");
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return cannot_listen(path.string(), "the stale socket cannot be removed");
    return {};
}

/// `replace`: takes the place of a socket on which somebody may still listen.
Result<Acceptor> open_unix(
    const Executor& executor, const std::filesystem::path& path, bool replace
) {
    if (path.native().size() >= sizeof(sockaddr_un::sun_path))
        return cannot_listen(path.string(), "the path of a Unix socket has at most 107 bytes");
    // No longer than the path itself, which is as long as may be.
    const auto fresh = replace ? path.parent_path() / "new.sock" : path;
    if (auto clear = clear_stale_socket(executor, fresh); !clear) return clear.error();
    error_code ec;
    Acceptor acceptor(executor);
    acceptor.open(Protocol(Local()), ec);
    if (!ec) acceptor.bind(Protocol::endpoint(Local::endpoint(fresh.string())), ec);
    if (ec) return cannot_listen(fresh.string(), ec.message());
    // Before listen() nobody can connect, so no umask opens a window.
    if (::chmod(fresh.c_str(), 0600) != 0) return cannot_listen(fresh.string(), "chmod failed");
    acceptor.listen(Acceptor::max_listen_connections, ec);
    if (!ec && replace) std::filesystem::rename(fresh, path, ec);
    if (ec) return cannot_listen(path.string(), ec.message());
    return acceptor;
}

class HttpServer final : public Server {
public:
    HttpServer(
        ServerOptions options,
        std::vector<Executor> threads,
        const Router& router,
        Edge* edge,
        Clock& clock,
        Metrics& metrics
    )
        : options_(std::move(options))
        , threads_(std::move(threads))
        , router_(router)
        , edge_(edge)
        , clock_(clock)
        , metrics_(metrics) {}

    Result<void> listen() override {
        auto ready = prepare();
        if (!ready) return ready;
        return options_.unix_socket.empty() ? listen_tcp() : listen_unix();
    }

    Result<void> adopt(std::vector<Descriptor> sockets) override {
        auto ready = prepare();
        if (!ready) return ready;
        if (sockets.empty() || !std::all_of(sockets.begin(), sockets.end(), is_tcp_listener))
            return invalid("adopt", "what was handed over are no listening TCP sockets");
        return accept_on(std::move(sockets));
    }

    std::uint16_t port() const override { return port_; }
    void hand_on() override { handed_on_ = true; }

    std::vector<Descriptor> descriptors() const override {
        std::vector<Descriptor> out;
        for (const Descriptor& socket : sockets_)
            out.push_back(socket.copy());
        return out;
    }

    Task<void> stop(Deadline deadline) override {
        sockets_.clear();  // the workers have copies; the last one closed closes the queue
        for (auto& worker : workers_)
            asio::post(worker->executor(), [worker, deadline, handed_on = handed_on_] {
                worker->begin_drain(deadline, handed_on);
            });
        for (auto& worker : workers_) {
            auto drained = worker->drained();
            co_await asio::co_spawn(worker->executor(), std::move(drained), use_task);
        }
        if (workers_.empty() || options_.unix_socket.empty()) co_return;
        if (file_id(options_.unix_socket) != unix_id_) co_return;  // a successor's
        error_code ignored;
        std::filesystem::remove(options_.unix_socket, ignored);
    }

private:
    Result<void> prepare() {
        auto trusted = TrustedProxies::parse(options_.trusted_proxies);
        if (!trusted) return trusted.error();
        std::shared_ptr<Tls> tls;
        if (!options_.tls.empty()) {
            auto loaded = Tls::load(options_.tls, Tls::Side::server, clock_);
            if (!loaded) return loaded.error();
            tls = std::move(*loaded);
        }
        shared_ = std::make_shared<Shared>(options_, clock_, std::move(*trusted), std::move(tls));
        return Result<void>();
    }

    Result<void> listen_tcp() {
        error_code ec;
        const auto address = asio::ip::make_address(options_.address, ec);
        if (ec) return cannot_listen(options_.address, "not an IP address");
        tcp::endpoint at(address, options_.port);
        const bool share = threads_.size() > 1;
        if (share && options_.port != 0) {
            // SO_REUSEPORT would let a second souk take half of the first one's connections: a
            // plain socket, closed again, finds out whether somebody listens there already.
            auto probe = open_tcp(threads_.front(), at, false);
            if (!probe) return probe.error();
        }
        std::vector<Descriptor> sockets;
        for (const auto& thread : threads_) {
            auto socket = open_tcp(thread, at, share);
            if (!socket) return socket.error();
            at.port(port_of(*socket));
            sockets.push_back(std::move(*socket));
        }
        return accept_on(std::move(sockets));
    }

    /// Each socket on a thread, each thread on a socket, whichever there are more of.
    Result<void> accept_on(std::vector<Descriptor> sockets) {
        std::vector<std::vector<Acceptor>> acceptors(threads_.size());
        for (std::size_t i = 0; i < std::max(sockets.size(), threads_.size()); ++i) {
            const std::size_t thread = i % threads_.size();
            auto acceptor = acceptor_of(threads_[thread], sockets[i % sockets.size()]);
            if (!acceptor) return acceptor.error();
            acceptors[thread].push_back(std::move(*acceptor));
        }
        port_ = port_of(sockets.front());
        sockets_ = std::move(sockets);
        for (auto& of_thread : acceptors)
            start(std::move(of_thread));
        return Result<void>();
    }

    Result<void> listen_unix() {
        threads_.resize(1, threads_.front());
        auto acceptor = open_unix(threads_.front(), options_.unix_socket, options_.replace);
        if (!acceptor) return acceptor.error();
        unix_id_ = file_id(options_.unix_socket);
        std::vector<Acceptor> acceptors;
        acceptors.push_back(std::move(*acceptor));
        start(std::move(acceptors));
        return Result<void>();
    }

    void start(std::vector<Acceptor> acceptors) {
        const auto in_flight =
            std::max<std::size_t>(1, options_.limits.in_flight / threads_.size());
        auto& worker = workers_.emplace_back(std::make_shared<Worker>(
            acceptors.front().get_executor(), shared_, router_, edge_, metrics_, in_flight
        ));
        asio::post(worker->executor(), [worker, acceptors = std::move(acceptors)]() mutable {
            worker->start(std::move(acceptors));
        });
    }

    ServerOptions options_;
    std::vector<Executor> threads_;
    const Router& router_;
    Edge* edge_;
    Clock& clock_;
    Metrics& metrics_;
    std::shared_ptr<Shared> shared_;
    std::vector<std::shared_ptr<Worker>> workers_;
    std::vector<Descriptor> sockets_;  // TCP; the workers accept on copies
    FileId unix_id_;
    std::uint16_t port_ = 0;
    bool handed_on_ = false;
};

}  // namespace

std::unique_ptr<Server> make_server(
    ServerOptions options,
    std::vector<Executor> threads,
    const Router& router,
    Edge* edge,
    Clock& clock,
    Metrics& metrics
) {
    return std::make_unique<HttpServer>(
        std::move(options), std::move(threads), router, edge, clock, metrics
    );
}

}  // namespace souk::http
