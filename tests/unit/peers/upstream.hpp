// A server that does with each connection what it is told, on a thread of its own: what a real one
// would never do has to be done by hand.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace souk::peers::test {

/// The upstream's end of a connection. All is over when the other side ends it, or the test does.
class Talk {
public:
    explicit Talk(int socket) : socket_(socket) {}

    /// The next request's head; empty at the end.
    std::string head() {
        std::size_t end = 0;
        while ((end = in_.find("\r\n\r\n")) == std::string::npos)
            if (!fill()) return {};
        return take(end + 4);
    }
    /// So many bytes of a body, or as many as come.
    std::string body(std::size_t size) {
        while (in_.size() < size && fill()) {
        }
        return take(std::min(size, in_.size()));
    }
    bool say(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            said += static_cast<std::size_t>(n);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    /// Until the other side ends it; what it said meanwhile.
    std::string rest() {
        while (fill()) {
        }
        return take(in_.size());
    }
    void hang_up() { ::shutdown(socket_, SHUT_RDWR); }

    std::size_t said = 0;

private:
    bool fill() {
        char bytes[65'536];
        const auto n = ::recv(socket_, bytes, sizeof bytes, 0);
        if (n <= 0) return false;
        in_.append(bytes, static_cast<std::size_t>(n));
        return true;
    }
    std::string take(std::size_t size) {
        std::string out = in_.substr(0, size);
        in_.erase(0, size);
        return out;
    }

    const int socket_;
    std::string in_;
};

class Upstream {
public:
    using Script = std::function<void(Talk&)>;
    explicit Upstream(Script script) : script_(std::move(script)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
            ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::runtime_error("cannot listen");
        port_ = ntohs(at.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~Upstream() {
        ended_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (const int socket : sockets_)
            ::shutdown(socket, SHUT_RDWR);
        for (auto& worker : workers_)
            worker.join();
        for (const int socket : sockets_)
            ::close(socket);
        ::close(listener_);
    }
    Upstream(const Upstream&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::uint16_t port() const { return port_; }
    std::atomic<int> connections = 0;
    std::atomic<int> over = 0;  // connections whose script has ended

private:
    void accept_all() {
        for (;;) {
            const int socket = ::accept(listener_, nullptr, nullptr);
            if (socket < 0 || ended_) return;
            ++connections;
            std::lock_guard lock(mutex_);
            sockets_.push_back(socket);
            workers_.emplace_back([this, socket] {
                Talk talk(socket);
                script_(talk);
                talk.hang_up();
                ++over;
            });
        }
    }

    const Script script_;
    std::uint16_t port_ = 0;
    int listener_ = -1;
    std::atomic<bool> ended_ = false;
    std::mutex mutex_;
    std::vector<int> sockets_;
    std::vector<std::thread> workers_;
    std::thread acceptor_;
};

/// A peer's answer, head and body.
inline std::string peer_answer(std::string_view status, std::string_view body) {
    return "HTTP/1.1 " + std::string(status) +
           "\r\nSouk-Admitted: 1\r\nContent-Type: text/plain\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// What a socket's buffers may hold, with room; far less than an endless body.
inline constexpr std::size_t socket_buffers = std::size_t{24} << 20;

}  // namespace souk::peers::test
