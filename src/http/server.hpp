// The HTTP/1.1 server: an io_context a thread, a listener a thread with SO_REUSEPORT, a connection
// stays on its thread. Listens on TCP or on a Unix socket.
#pragma once

#include "http/descriptor.hpp"
#include "http/edge.hpp"
#include "http/router.hpp"
#include "http/tls_files.hpp"
#include "souk/clock.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::http {

struct ServerLimits {
    std::size_t connections = 10'000;
    std::size_t connections_per_address = 1'000;
    std::size_t header_bytes = 8 * 1024;  // 431
    std::size_t header_fields = 100;      // 431
    std::size_t target_bytes = 4 * 1024;  // 414
    std::size_t in_flight = 2'000;        // requests being handled; then 503 before the body
    milliseconds header_timeout{10'000};  // 408: from the first byte to the end of the head
    milliseconds body_timeout{30'000};    // 408
    milliseconds write_timeout{30'000};
    milliseconds idle_timeout{60'000};  // keep-alive
    // After stop(): how long a kept connection may still send one request more. Whoever closes it
    // at once closes it under a client that is just writing.
    milliseconds drain_grace{2'000};
};

struct ServerOptions {
    std::string name;  // "public", "metrics", "control": in logs
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;             // 0: any free one
    std::filesystem::path unix_socket;  // instead of address and port; mode 0600
    bool replace = false;               // a Unix socket on which a predecessor still listens
    ServerLimits limits;
    bool access_log = true;
    std::vector<std::string> trusted_proxies;  // CIDRs whose X-Forwarded-For counts
    TlsFiles tls;                              // when given: TLS, and a certificate of each client
    bool internal = false;  // a listener for peers: elsewhere nobody sees a client's Souk-* fields
};

class Server {
public:
    virtual ~Server() = default;
    /// Binds and listens. Errors: `unavailable` "listen" (the address is taken, no permission) with
    /// the address in words, `unavailable` "tls" with the file.
    virtual Result<void> listen() = 0;
    /// Instead of listen(): accepts on all of `sockets`, which listen already, spread over the
    /// threads. Errors: `invalid` "adopt" for what is no listening TCP socket; those of listen()
    /// but for the address.
    virtual Result<void> adopt(std::vector<Descriptor> sockets) = 0;
    /// Copies of the TCP sockets that this server listens on, for a successor to adopt. Empty for a
    /// Unix socket and before listen().
    virtual std::vector<Descriptor> descriptors() const = 0;
    /// A successor accepts on the sockets now: stop() leaves to it who waits in their queues.
    virtual void hand_on() = 0;
    virtual std::uint16_t port() const = 0;
    /// Accepts no more, once those who wait in the queue are taken. Whose request has arrived, or
    /// arrives within limits.drain_grace, is answered with `Connection: close`; then connections
    /// end, at the deadline all.
    virtual Task<void> stop(Deadline deadline) = 0;
};

/// `threads`: the contexts that serve; each accepts on its own socket. `router` and `edge` must
/// outlive the server; `edge` may be null (no authentication: metrics, control socket).
std::unique_ptr<Server> make_server(
    ServerOptions options,
    std::vector<Executor> threads,
    const Router& router,
    Edge* edge,
    Clock& clock,
    Metrics& metrics
);

}  // namespace souk::http
