#include "http/server.hpp"

#include "http/tls.hpp"
#include "http/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
Result<Acceptor> open_tcp(const Executor& executor, const tcp::endpoint& at, bool share) {
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
    return acceptor;
}

std::uint16_t port_of(const Acceptor& acceptor) {
    const auto bound = acceptor.local_endpoint();
    tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), bound.data(), std::min(endpoint.capacity(), bound.size()));
    return endpoint.port();
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

Result<Acceptor> open_unix(const Executor& executor, const std::filesystem::path& path) {
    if (path.native().size() >= sizeof(sockaddr_un::sun_path))
        return cannot_listen(path.string(), "the path of a Unix socket has at most 107 bytes");
    if (auto clear = clear_stale_socket(executor, path); !clear) return clear.error();
    error_code ec;
    Acceptor acceptor(executor);
    acceptor.open(Protocol(Local()), ec);
    if (!ec) acceptor.bind(Protocol::endpoint(Local::endpoint(path.string())), ec);
    if (ec) return cannot_listen(path.string(), ec.message());
    // Before listen() nobody can connect, so no umask opens a window.
    if (::chmod(path.c_str(), 0600) != 0) return cannot_listen(path.string(), "chmod failed");
    acceptor.listen(Acceptor::max_listen_connections, ec);
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
        auto trusted = TrustedProxies::parse(options_.trusted_proxies);
        if (!trusted) return trusted.error();
        std::shared_ptr<Tls> tls;
        if (!options_.tls.empty()) {
            auto loaded = Tls::load(options_.tls, Tls::Side::server, clock_);
            if (!loaded) return loaded.error();
            tls = std::move(*loaded);
        }
        shared_ = std::make_shared<Shared>(options_, clock_, std::move(*trusted), std::move(tls));
        return options_.unix_socket.empty() ? listen_tcp() : listen_unix();
    }

    std::uint16_t port() const override { return port_; }

    Task<void> stop(Deadline deadline) override {
        for (auto& worker : workers_)
            asio::post(worker->executor(), [worker, deadline] { worker->begin_drain(deadline); });
        for (auto& worker : workers_) {
            auto drained = worker->drained();
            co_await asio::co_spawn(worker->executor(), std::move(drained), use_task);
        }
        if (workers_.empty() || options_.unix_socket.empty()) co_return;
        error_code ignored;
        std::filesystem::remove(options_.unix_socket, ignored);
    }

private:
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
        std::vector<Acceptor> acceptors;
        for (const auto& thread : threads_) {
            auto acceptor = open_tcp(thread, at, share);
            if (!acceptor) return acceptor.error();
            at.port(port_of(*acceptor));
            acceptors.push_back(std::move(*acceptor));
        }
        port_ = at.port();
        for (auto& acceptor : acceptors)
            start(std::move(acceptor));
        return {};
    }

    Result<void> listen_unix() {
        threads_.resize(1, threads_.front());
        auto acceptor = open_unix(threads_.front(), options_.unix_socket);
        if (!acceptor) return acceptor.error();
        start(std::move(*acceptor));
        return {};
    }

    void start(Acceptor acceptor) {
        const auto in_flight =
            std::max<std::size_t>(1, options_.limits.in_flight / threads_.size());
        auto& worker = workers_.emplace_back(std::make_shared<Worker>(
            acceptor.get_executor(), shared_, router_, edge_, metrics_, in_flight
        ));
        asio::post(worker->executor(), [worker, acceptor = std::move(acceptor)]() mutable {
            worker->start(std::move(acceptor));
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
    std::uint16_t port_ = 0;
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
