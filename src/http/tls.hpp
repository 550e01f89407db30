// TLS 1.3 with certificates on both sides, for the listener and the clients between souk's
// processes. OpenSSL works on memory that Asio fills and empties: a plain connection pays one
// branch a read or write for the possibility of TLS, and no template is compiled twice.
#pragma once

#include "http/socket.hpp"
#include "http/tls_files.hpp"
#include "souk/clock.hpp"
#include "souk/error.hpp"

#include <boost/asio/buffer.hpp>

#include <memory>
#include <string>
#include <vector>

namespace souk::http {

/// Bytes done, or why not.
struct Transfer {
    Transfer(std::size_t size, boost::system::error_code error) : size(size), error(error) {}
    std::size_t size;
    boost::system::error_code error;  // asio::error::eof when the peer ended in order
};

/// One connection's TLS, on the connection's thread. The socket outlives it; closing or cancelling
/// the socket ends what waits here.
class TlsSession {
public:
    TlsSession(const TlsSession&) = delete;
    ~TlsSession();

    /// Errors: `unavailable` "tls" with the reason in words (not trusted, expired, another name).
    Task<Result<void>> handshake();
    Task<Transfer> read_some(asio::mutable_buffer space);
    /// Returns when all that was taken is sent, and what has_unsent() tells of; `bytes` may be
    /// empty. One at a time.
    Task<Transfer> write_some(asio::const_buffer bytes);
    /// What of `bytes` can be taken without waiting. The end of it may be unsent still; then, and
    /// after a fault, write_some() must follow.
    std::size_t write_at_once(asio::const_buffer bytes);
    bool has_unsent() const;
    /// Whether bytes of the peer's are in memory already, be it half a record.
    bool has_input() const;
    /// Tells the peer that nothing follows; does not wait.
    void close_notify();

    /// What the peer's certificate names, after the handshake: DNS names, and of each URI the last
    /// segment of its path ("spiffe://shop/sa/order" → "order").
    const std::vector<std::string>& peer_names() const { return peer_names_; }

private:
    friend class Tls;
    struct Engine;
    TlsSession(Socket& socket, std::unique_ptr<Engine> engine);
    bool send_at_once();
    Task<boost::system::error_code> flush();
    Task<boost::system::error_code> fill();
    boost::system::error_code why_not(int done);
    std::size_t encrypt(asio::const_buffer bytes);
    void read_peer_names();

    Socket& socket_;
    std::unique_ptr<Engine> engine_;
    std::vector<std::string> peer_names_;
};

/// One side's certificates. The files may be replaced while it runs: new connections use the new
/// ones (looked at once a second at most); when those are bad the old ones stay, with a word in the
/// log.
class Tls {
public:
    enum class Side { server, client };

    /// Errors: `unavailable` "tls" with the file and the reason.
    static Result<std::shared_ptr<Tls>> load(TlsFiles files, Side side, Clock& clock);
    ~Tls();
    Tls(const Tls&) = delete;

    /// From any thread. `server_name`: a client's, whom the server must prove to be.
    std::unique_ptr<TlsSession> open(Socket& socket, const std::string& server_name = {});
    /// Whether `session` began with the certificates that hold now; as of the last open().
    bool is_current(const TlsSession& session) const;

private:
    struct State;
    explicit Tls(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace souk::http
