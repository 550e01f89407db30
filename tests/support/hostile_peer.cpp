#include "hostile_peer.hpp"

#include "base/system_clock.hpp"
#include "http/client.hpp"
#include "http/tls.hpp"
#include "run_task.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace souk::test {
namespace {

constexpr int look_again_ms = 20;
constexpr seconds patience{10};

template <auto free>
struct Freed {
    template <class T>
    void operator()(T* what) const {
        free(what);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

const std::string head =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSouk-Admitted: 1\r\n";

/// What is said at first, in this manner; then comes more, silence or the end.
std::string first_words(Manner manner) {
    switch (manner) {
        case Manner::talks_nonsense:
            return std::string("\x00\xff\x16 SSH-2.0-nobody\r\n\r\n{}\r\n", 28);
        case Manner::answers_nonsense:
            return head + "Content-Length: 9\r\n\r\n<html>\"{[";
        case Manner::stops_half_way:
        case Manner::hangs_up_half_way:
            return head + "Content-Length: 1000\r\n\r\n{\"data\":[";
        case Manner::endless_head:
            return "HTTP/1.1 200 OK\r\n";
        case Manner::endless_body:
            return head + "Content-Length: 99999999999\r\n\r\n[";
        case Manner::drips:
            return "HTTP/1.1";
        default:
            return {};
    }
}

/// What is repeated after that.
std::string refrain(Manner manner) {
    if (manner == Manner::endless_head) return "X-More: " + std::string(1000, 'x') + "\r\n";
    if (manner == Manner::endless_body) return std::string(1 << 16, ' ');
    return " ";
}

}  // namespace

http::TlsFiles certificate_of(const std::filesystem::path& folder, std::string_view role) {
    http::TlsFiles files;
    files.certificate = folder / fmt::format("{}.crt", role);
    files.key = folder / fmt::format("{}.key", role);
    files.ca = folder / "ca.crt";
    return files;
}

struct HostilePeer::State {
    State(const http::TlsFiles& files, Manner manner)
        : context(SSL_CTX_new(TLS_server_method())), manner(manner) {
        if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
            throw std::runtime_error("no certificate: " + files.certificate.string());
        listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::listen(listener, 64) != 0 ||
            ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("the hostile peer cannot listen");
        port = ntohs(address.sin_port);
        accepting = std::thread([this] { accept_all(); });
    }
    ~State() {
        stopping = true;
        accepting.join();
        for (std::thread& guest : guests)
            guest.join();
        ::close(listener);
    }

    void accept_all() {
        while (!stopping) {
            pollfd waiting{listener, POLLIN, 0};
            if (::poll(&waiting, 1, look_again_ms) <= 0) continue;
            const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) continue;
            ++connections;
            guests.emplace_back([this, fd, how = manner.load()] {
                sigset_t signals;
                sigemptyset(&signals);
                sigaddset(&signals, SIGPIPE);
                pthread_sigmask(SIG_BLOCK, &signals, nullptr);
                receive(fd, how);
                ::close(fd);
            });
        }
    }

    /// Until the other side is gone, or all ends.
    void stay(int fd) const {
        while (!stopping) {
            pollfd gone{fd, POLLRDHUP, 0};
            if (::poll(&gone, 1, look_again_ms) > 0) return;
        }
    }

    void receive(int fd, Manner how) {
        const timeval limit{1, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (how == Manner::hangs_up) return;
        if (how == Manner::never_greets) return stay(fd);
        if (how == Manner::speaks_plainly) {
            const std::string bytes = head + "Content-Length: 2\r\n\r\n{}";
            ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            return stay(fd);
        }
        const Ssl ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), fd);
        if (SSL_accept(ssl.get()) != 1) return;
        while (!stopping && read_request(ssl.get(), fd))
            if (!respond(ssl.get(), fd, how)) return;
    }

    /// A head and a body of Content-Length; false: nothing more comes.
    bool read_request(SSL* ssl, int fd) {
        std::string text;
        std::size_t whole = std::string::npos;
        std::array<char, 16384> part{};
        while (!stopping && (whole == std::string::npos || text.size() < whole)) {
            pollfd waiting{fd, POLLIN, 0};
            if (SSL_pending(ssl) == 0 && ::poll(&waiting, 1, look_again_ms) == 0) continue;
            const int size = SSL_read(ssl, part.data(), part.size());
            if (size <= 0) return false;
            text.append(part.data(), static_cast<std::size_t>(size));
            const auto end = text.find("\r\n\r\n");
            if (end == std::string::npos || whole != std::string::npos) continue;
            whole = end + 4;
            const auto field = text.find("Content-Length: ");
            if (field < end) whole += std::stoul(text.substr(field + 16));
        }
        if (stopping) return false;
        const std::lock_guard lock(mutex);
        requests.push_back(std::move(text));
        return true;
    }

    /// Whether the connection goes on.
    bool respond(SSL* ssl, int fd, Manner how) {
        std::string words = first_words(how);
        if (how == Manner::is_polite) {
            const std::lock_guard lock(mutex);
            words = answer;
        }
        if (!words.empty() && SSL_write(ssl, words.data(), static_cast<int>(words.size())) <= 0)
            return false;
        if (how == Manner::is_polite) return true;
        if (how == Manner::never_answers || how == Manner::stops_half_way) stay(fd);
        const bool goes_on =
            how == Manner::endless_head || how == Manner::endless_body || how == Manner::drips;
        const std::string more = refrain(how);
        while (goes_on && !stopping) {
            if (SSL_write(ssl, more.data(), static_cast<int>(more.size())) <= 0) return false;
            if (how == Manner::drips) std::this_thread::sleep_for(milliseconds(100));
        }
        return false;
    }

    const Context context;
    std::atomic<Manner> manner;
    std::atomic<bool> stopping = false;
    std::atomic<int> connections = 0;
    int listener = -1;
    std::uint16_t port = 0;
    mutable std::mutex mutex;  // of what follows
    std::string answer = head + "Content-Length: 2\r\n\r\n{}";
    std::vector<std::string> requests;
    std::vector<std::thread> guests;  // of `accepting` alone
    std::thread accepting;
};

HostilePeer::HostilePeer(http::TlsFiles certificate, Manner manner)
    : state_(std::make_unique<State>(certificate, manner)) {}

HostilePeer::~HostilePeer() = default;

std::uint16_t HostilePeer::port() const {
    return state_->port;
}

void HostilePeer::behave(Manner manner) {
    state_->manner = manner;
}

void HostilePeer::answer(std::string bytes) {
    const std::lock_guard lock(state_->mutex);
    state_->answer = std::move(bytes);
}

int HostilePeer::connections() const {
    return state_->connections;
}

std::vector<std::string> HostilePeer::requests() const {
    const std::lock_guard lock(state_->mutex);
    return state_->requests;
}

Result<http::Response> call_peer(
    const http::TlsFiles& certificate,
    std::uint16_t port,
    http::Method method,
    const std::string& target,
    std::string body,
    http::Headers headers
) {
    asio::io_context context(1);
    Clock& clock = base::system_clock();
    auto tls = http::Tls::load(certificate, http::Tls::Side::client, clock);
    if (!tls) throw std::runtime_error(tls.error().detail);
    http::ClientTarget to;
    to.host = "127.0.0.1";
    to.port = port;
    to.tls = std::move(*tls);
    if (!body.empty()) headers.set("Content-Type", "application/json");
    http::Client client(context.get_executor(), std::move(to));
    return run_task(
        context,
        client.send(
            method, target, std::move(headers), std::move(body), clock, Deadline(clock, patience)
        )
    );
}

std::string exchange_without_certificate(std::uint16_t port, const std::string& bytes) {
    const Context context(SSL_CTX_new(TLS_client_method()));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    const timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string out;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const Ssl ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), fd);
        std::array<char, 4096> part{};
        // TLS 1.3: the client's side is done before the server asked for its certificate in vain.
        if (SSL_connect(ssl.get()) == 1 &&
            SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size())) > 0)
            for (int n = 0; (n = SSL_read(ssl.get(), part.data(), part.size())) > 0;)
                out.append(part.data(), static_cast<std::size_t>(n));
    }
    ::close(fd);
    return out;
}

}  // namespace souk::test
