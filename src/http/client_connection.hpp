// One connection of a client, plain or TLS: connected once, then one exchange after another. The
// parts that http::Client and the pools of peers share; who may wait how long, and what is tried
// again, is theirs.
#pragma once

#include "http/socket.hpp"
#include "souk/error.hpp"
#include "souk/http.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace souk::http {

class Tls;

/// On one executor. close() makes what waits end with an error, and is what a deadline does.
class ClientConnection {
public:
    ClientConnection(Executor executor, std::size_t max_body_bytes);
    ~ClientConnection();
    ClientConnection(const ClientConnection&) = delete;

    /// Closes first. With `tls`, the server must prove to be `server_name`. Errors: `unavailable`
    /// "connect" with the reason; nothing was sent.
    Task<Result<void>> connect(
        Protocol::endpoint to, std::shared_ptr<Tls> tls, std::string server_name
    );
    /// Sends `bytes`, a whole request, and reads the answer; closes after a fault and when the
    /// server will. Errors: `unavailable` "broken" with the reason; it may have executed.
    Task<Result<Response>> exchange(std::string_view bytes, bool head_only);

    /// Whether the kept connection still stands: a server that hung up left an end of file behind.
    bool usable();
    bool is_open() const;
    /// Whether a byte of the answer to the last exchange arrived.
    bool answered() const;
    /// Whether the certificates it was made with are still those that hold.
    bool is_current() const;
    void close();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// A whole request with its length. Method, target and fields must be clean (is_clean()).
void write_request(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::string_view body
);
/// Whether nothing in them starts a line of its own.
bool is_clean(std::string_view target, const Headers& headers);

}  // namespace souk::http
