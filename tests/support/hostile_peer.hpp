// Who a souk process must not trust to behave: a listener with a module's certificate that answers
// as it is told to, or not at all, and remembers what it was sent. And callers of the internal
// listeners, with whichever certificate.
#pragma once

#include "http/tls_files.hpp"
#include "process.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

/// Those of `role` from a folder of `souk dev-certs`.
http::TlsFiles certificate_of(const std::filesystem::path& folder, std::string_view role);

enum class Manner : std::uint8_t {
    hangs_up,          // accepts and closes
    never_greets,      // accepts, and no handshake
    speaks_plainly,    // HTTP without TLS
    never_answers,     // reads the request
    talks_nonsense,    // no HTTP
    answers_nonsense,  // HTTP, and no JSON
    stops_half_way,    // half of a body, then silence
    hangs_up_half_way,
    endless_head,
    endless_body,
    drips,     // a byte of the answer now and then
    is_polite  // answer()
};

class HostilePeer {
public:
    /// Listens on a free port of 127.0.0.1.
    HostilePeer(http::TlsFiles certificate, Manner manner);
    ~HostilePeer();
    HostilePeer(const HostilePeer&) = delete;
    HostilePeer& operator=(const HostilePeer&) = delete;

    std::uint16_t port() const;
    std::string address() const { return "https://127.0.0.1:" + std::to_string(port()); }
    /// For connections from now on.
    void behave(Manner manner);
    /// A whole answer's bytes, for Manner::is_polite.
    void answer(std::string bytes);
    int connections() const;
    /// The requests' heads and what came with them, in order.
    std::vector<std::string> requests() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// One request to an internal listener. Errors: `unavailable` when the listener does not talk to
/// that certificate.
Result<http::Response> call_peer(
    const http::TlsFiles& certificate,
    std::uint16_t port,
    http::Method method,
    const std::string& target,
    std::string body = {},
    http::Headers headers = {}
);

/// What comes back for `bytes` over TLS without a certificate of one's own; empty: nothing did.
std::string exchange_without_certificate(std::uint16_t port, const std::string& bytes);

}  // namespace souk::test
