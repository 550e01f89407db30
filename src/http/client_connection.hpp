// One connection of a client, plain or TLS: connected once, then one exchange after another. The
// parts that http::Client and the pools of peers share; who may wait how long, and what is tried
// again, is theirs.
#pragma once

#include "http/socket.hpp"
#include "souk/error.hpp"
#include "souk/http.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

    /// Sends `bytes` and, while the answer is awaited and read, the parts of `body` (null: none),
    /// framed as write_streamed_head() said. Returns the answer's head as soon as it is there;
    /// read_part() has its body, of any length. Errors: as exchange(); what `body` failed with, and
    /// then body_fault() is that.
    Task<Result<Response>> begin(
        std::string_view bytes, std::shared_ptr<BodyStream> body, bool head_only
    );
    /// The next part, or empty at the end, after which the connection serves again, unless a
    /// request's body is still under way: then it is closed. Errors: `unavailable` "broken".
    Task<Result<std::string>> read_part();
    /// Whether all of the answer was received; what is left of it, read_part() has in memory.
    bool is_complete() const;
    /// What is left of a complete answer; the connection serves again, as after read_part().
    std::string take_rest();
    /// The answer's length as its head says it; of an answer to HEAD, too.
    std::optional<std::uint64_t> answer_length() const;
    /// Whether the end of the answer differs from the end of the connection.
    bool is_framed() const;
    /// Why the body of the last request could not be read at its source.
    const std::optional<Error>& body_fault() const;

    /// Whether the kept connection still stands: a server that hung up left an end of file behind.
    bool usable();
    bool is_open() const;
    /// Whether a byte of the answer to the last exchange arrived.
    bool answered() const;
    /// Whether the certificates it was made with are still those that hold.
    bool is_current() const;
    /// Of the certificate that the server showed last; empty without TLS.
    std::vector<std::string> peer_names() const;
    void close();

private:
    struct State;
    struct Upload;
    static Task<void> pump(std::shared_ptr<State> state, std::shared_ptr<Upload> upload);
    std::shared_ptr<State> state_;  // shared with a body under way
};

/// A whole request with its length, and `more`: lines of fields beside `headers`. Method, target
/// and fields must be clean (is_clean()).
void write_request(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::string_view body,
    std::string_view more = {}
);
/// The head of a request whose body follows in parts: with its length, or in chunks.
void write_streamed_head(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::optional<std::uint64_t> length
);
/// Whether nothing in them starts a line of its own.
bool is_clean(std::string_view target, const Headers& headers);

}  // namespace souk::http
