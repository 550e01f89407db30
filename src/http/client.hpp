// A small HTTP/1.1 client with keep-alive for souk's own commands. Peers have pools (src/peers).
#pragma once

#include "souk/clock.hpp"
#include "souk/http.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::http {

class Tls;

struct ClientTarget {
    std::string host;  // or
    std::uint16_t port = 0;
    std::filesystem::path unix_socket;  // when not empty
    std::shared_ptr<Tls> tls;           // of Side::client: the server must prove to be `host`
    /// "http://127.0.0.1:3000" or "unix:/path/souk.sock". Errors: `invalid` "bad_url".
    static Result<ClientTarget> parse(std::string_view url);
};

/// One connection, one request at a time. Opens lazily, reopens when the server closed it.
class Client {
public:
    Client(Executor executor, ClientTarget target);
    ~Client();
    Client(Client&&) noexcept;
    /// Errors: `unavailable` "connect" (nothing was sent), `unavailable` "broken" (may have
    /// executed), `timeout`.
    Task<Result<Response>> send(
        Method method,
        std::string target,
        Headers headers,
        std::string body,
        Clock& clock,
        Deadline deadline
    );
    /// Of the certificate that the server of the last connection showed; empty without TLS.
    std::vector<std::string> peer_names() const;

private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the watch over the deadline
};

}  // namespace souk::http
