// One connection: reads heads through the gate, bodies through Beast's parser, driven by hand with
// put() over a plain socket (a third more requests/s and a third of the compile time of Beast's
// composed operations), and writes answers in order.
#include "http/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>

namespace souk::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

/// Holds most requests. Who sends a larger one gets a buffer for the longest head, for its time: of
/// thousands of connections most wait.
constexpr std::size_t usual_request = 3 * 1024;
constexpr std::size_t shared_input = 20 * 1024;
/// What is still read of a body that nobody wants, to keep the connection.
constexpr std::size_t discard_limit = 64 * 1024;
/// What is still read after a last answer, so that a reset does not overtake it.
constexpr std::size_t linger_limit = 256 * 1024;
constexpr milliseconds linger_time{1'000};
/// What a peer may add to a head that came through another listener: identity, trace, key.
constexpr std::size_t peers_bytes = 4 * 1024;
constexpr std::size_t peers_fields = 16;
constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";

GateLimits gate_limits_of(const ServerOptions& options) {
    GateLimits out;
    out.header_bytes = options.limits.header_bytes + (options.internal ? peers_bytes : 0);
    out.header_fields = options.limits.header_fields + (options.internal ? peers_fields : 0);
    out.target_bytes = options.limits.target_bytes;
    return out;
}

Error too_slow(std::string_view what) {
    return Error(
        ErrorKind::request_timeout, "request_timeout", fmt::format("the {} came too slowly", what)
    );
}

}  // namespace

Connection::Connection(
    std::shared_ptr<Worker> worker, Socket socket, std::string peer, std::string key
)
    : worker_(std::move(worker))
    , socket_(std::move(socket))
    , peer_(std::move(peer))
    , key_(std::move(key))
    , gate_limits_(gate_limits_of(worker_->shared().options)) {
    if (auto& tls = worker_->shared().tls) tls_ = tls->open(socket_);
    worker_->add(*this);
}

Connection::~Connection() {
    if (streamed_) streamed_->connection_ = nullptr;
    worker_->shared().leave(key_);
    worker_->remove(*this);
}

/// `self` keeps the connection while its coroutine lives.
Task<void> Connection::run([[maybe_unused]] std::shared_ptr<Connection> self) {
    try {
        bool again = true;
        if (tls_) again = co_await shake_hands();
        if (again) co_await serve_all();
        if (close_ && !aborted_) co_await linger();
    } catch (const std::exception& e) {
        Logger("http").error("a connection failed", {{"error", e.what()}});
    }
}

Task<bool> Connection::shake_hands() {
    reading_.set(in(limits().header_timeout));
    auto done = co_await tls_->handshake();
    if (done && !reading_.over && !aborted_) co_return true;
    const std::string why = done ? "too slow" : done.error().detail;
    Logger("http").info("a peer's TLS was refused", {{"peer", peer_}, {"error", why}});
    co_return false;
}

/// One request after the other; `close_` tells that an answer ended it. One coroutine for all,
/// since its frame is large.
Task<void> Connection::serve_all() {
    for (bool again = true; again;) {
        const Input head = co_await read_head();
        if (head == Input::closed) {
            if (is_shared()) abort();  // nobody waits for what is under way
            co_return;
        }
        Exchange exchange(worker_->clock().steady());
        exchange.request.remote_address = peer_;
        if (tls_) exchange.arrival.peer_names = &tls_->peer_names();
        if (head == Input::faulty || !open(exchange)) {
            if (is_shared())
                abort();  // who is wrong here is a peer
            else
                co_await refuse_head(exchange);
            co_return;
        }
        if (shares(exchange)) {
            begin_shared(exchange);
            co_await await_room();
            if (aborted_) co_return;
            continue;
        }
        if (is_shared()) {
            abort();
            co_return;
        }
        auto answer = co_await worker_->dispatcher().admit(exchange);
        if (aborted_) co_return;
        if (answer) {
            if (answer->status == 413) close_ = true;
            const bool skipped = co_await skip_body(exchange);
            if (!skipped) close_ = true;
            again = co_await write(exchange, std::move(*answer));
            continue;
        }
        if (!reader_->is_done()) {
            const Input body = co_await read_body(exchange);
            if (body == Input::closed) co_return;
            if (body == Input::faulty) {
                co_await refuse_head(exchange);
                co_return;
            }
        }
        auto response = co_await worker_->dispatcher().answer(exchange);
        if (streamed_ && !reader_->is_done()) close_ = true;
        again = false;
        if (!aborted_) {
            const bool whole = begin_write(exchange, response);
            again = whole && keeps_on();
            if (!whole) again = co_await end_write(std::move(response));
        }
        if (streamed_) co_await end_stream();
    }
}

/// Answers `fault_` and ends the connection: after bad framing nobody knows where a request starts.
Task<void> Connection::refuse_head(Exchange& exchange) {
    close_ = true;
    reading_.clear();
    auto response = worker_->dispatcher().refuse(exchange, fault_);
    co_await write(exchange, std::move(response));
}

Task<Connection::Input> Connection::read_head() {
    bool looked = false;
    for (bool first = true;; first = false) {
        auto head = find_head(unread(), gate_limits_);
        if (!head) {
            fault_ = head.error();
            co_return Input::faulty;
        }
        if (*head > 0) {
            head_size_ = *head;
            co_return Input::ready;
        }
        idle_ = unread().empty();
        const bool was_idle = idle_;
        // The head's time starts once, with its first byte.
        if (was_idle) {
            shrink();
            milliseconds time = idle_time();
            if (time == milliseconds(0)) {
                // What is under way is answered first: expire() ends the rest of the wait.
                if (!has_input() && !is_shared()) co_return Input::closed;
                if (has_input()) time = limits().header_timeout;
            }
            reading_.set(in(time));
        } else if (first) {
            reading_.set(in(limits().header_timeout));
        }
        const std::size_t n = co_await read_more();
        idle_ = false;
        if (n > 0 && was_idle) reading_.set(in(limits().header_timeout));
        // A request that came just when the time was up is answered. One look: TLS may have
        // received part of a record, and never more.
        const bool look = n == 0 && was_idle && reading_.over && !looked && !aborted_;
        if (look && has_input()) {
            looked = true;
            continue;
        }
        // Bytes and the end of the time may come together; the deadline is gone then.
        if (n > 0 && !reading_.over) continue;
        if (!reading_.over || was_idle) co_return Input::closed;
        fault_ = too_slow("head");
        co_return Input::faulty;
    }
}

/// Takes the head through the gate and through Beast, and fills the request with it.
bool Connection::open(Exchange& exchange) {
    reading_.clear();
    Request& request = exchange.request;
    auto checked = check_head(unread().substr(0, head_size_), gate_limits_);
    if (!checked) {
        fault_ = checked.error();
        return false;
    }
    request.method = checked->method;
    request.target = std::move(checked->target);
    request.path = std::move(checked->path);
    request.query = std::move(checked->query);
    reader_.emplace(request, gate_limits_, worker_->shared().options.internal);
    error_code ec;
    const std::size_t n = reader_->put(asio::const_buffer(unread().data(), head_size_), ec);
    // A request without a body is complete now; of others, Beast must have taken just the head.
    if (ec || n != head_size_ || !reader_->is_header_done()) {
        fault_ = invalid("bad_framing", "the request is malformed");
        return false;
    }
    begin_ += n;
    request.remote_address = worker_->shared().trusted.client_of(peer_, request.headers);
    exchange.has_body = reader_->has_body();
    if (auto length = reader_->content_length()) exchange.content_length = *length;
    if (!reader_->keep_alive() || !reader_->http_1_1()) close_ = true;
    return true;
}

Task<Connection::Input> Connection::read_body(Exchange& exchange) {
    reader_->take_body(body_limit(*exchange.route));
    // The dispatcher has checked the length, so this cannot be made to reserve more than is
    // allowed.
    exchange.request.body.reserve(
        std::min<std::size_t>(exchange.content_length.value_or(0), discard_limit)
    );
    const bool waits = reader_->http_1_1() && exchange.request.headers.has("Expect");
    if (waits && unread().empty()) {
        out_ = continue_answer;
        const bool sent = co_await send();
        if (!sent) co_return Input::closed;
    }
    if (!exchange.route->streams) co_return co_await parse_rest();
    if (exchange.content_length.value_or(0) <= part_bytes) {
        const Input small = co_await parse_rest(part_bytes + 1);
        if (small != Input::ready || reader_->is_done()) co_return small;
    }
    begin_stream(exchange);
    co_return Input::ready;
}

/// Reads away a body that will not be used. False when the connection had better be closed.
Task<bool> Connection::skip_body(const Exchange& exchange) {
    if (reader_->is_done()) co_return true;
    if (close_ || exchange.request.headers.has("Expect")) co_return false;
    if (exchange.content_length.value_or(0) > discard_limit) co_return false;
    reader_->discard_body(discard_limit);
    const Input rest = co_await parse_rest();
    reading_.clear();
    co_return rest == Input::ready;
}

/// Reads until the body is complete, or `enough` of it is there.
Task<Connection::Input> Connection::parse_rest(std::size_t enough) {
    reading_.set(in(limits().body_timeout));
    return parse_more(enough);
}

/// Feeds the parser until the body is complete, or `enough` of it is there.
Task<Connection::Input> Connection::parse_more(std::size_t enough) {
    bool starved = unread().empty();
    while (!reader_->is_done() && reader_->taken() < enough) {
        if (starved) {
            const std::size_t n = co_await read_more();
            if (n == 0 && !reading_.over) co_return Input::closed;
            if (reading_.over) {
                fault_ = too_slow("body");
                co_return Input::faulty;
            }
        }
        error_code ec;
        const auto bytes = asio::const_buffer(unread().data(), unread().size());
        begin_ += reader_->put(bytes, ec);
        starved = ec == beast_http::error::need_more || unread().empty();
        const bool full = in_.size() >= gate_limits_.header_bytes && end_ - begin_ == in_.size();
        const bool stuck = starved && full;
        if ((ec && ec != beast_http::error::need_more) || stuck) {
            body_fault(ec);
            co_return Input::faulty;
        }
    }
    reading_.clear();
    co_return Input::ready;
}

void Connection::body_fault(const error_code& ec) {
    if (ec == beast_http::error::body_limit)
        fault_ = Error(ErrorKind::too_large, "body_too_large", "the body is too large");
    else
        fault_ = invalid("bad_framing", "the body's chunks are malformed");
}

/// For an empty buffer: no larger than most requests.
void Connection::shrink() {
    // One that many requests share gets several at a time.
    const std::size_t usual = was_shared_ ? shared_input : usual_request;
    const std::size_t size = std::min(usual, gate_limits_.header_bytes);
    begin_ = end_ = 0;
    if (in_.size() != size) in_ = std::vector<char>(size);
}

/// Adds to the unread bytes. 0: the peer ended, the connection broke, or time is up.
Task<std::size_t> Connection::read_more() {
    const bool filled = end_ == in_.size();
    if (begin_ == end_) begin_ = end_ = 0;
    if (filled && in_.size() < gate_limits_.header_bytes) in_.resize(gate_limits_.header_bytes);
    if (end_ == in_.size() && begin_ > 0) {
        std::copy(in_.begin() + begin_, in_.begin() + end_, in_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    if (given_up_) co_return 0;
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    auto space = asio::buffer(in_.data() + end_, in_.size() - end_);
    std::size_t n = 0;
    if (tls_) {
        const Transfer got = co_await tls_->read_some(space);
        n = got.size;
        ec = got.error;
    } else {
        n = co_await socket_.async_read_some(space, token);
    }
    if (ec || aborted_ || given_up_) co_return 0;
    end_ += n;
    co_return n;
}

Task<bool> Connection::write(Exchange& exchange, Response response) {
    const bool whole = begin_write(exchange, response);
    if (whole) co_return keeps_on();
    co_return co_await end_write(std::move(response));
}

/// Sends what the socket takes at once. True: that was all of the answer.
bool Connection::begin_write(Exchange& exchange, Response& response) {
    worker_->dispatcher().conclude(exchange, response);
    // Unless the client has sent the next request already, and its time is not up.
    if (worker_->draining() && (!has_input() || idle_time() == milliseconds(0))) close_ = true;
    WireOptions options;
    options.date = worker_->date();
    options.request_id = exchange.request_id;
    options.head_only = exchange.request.method == Method::head;
    options.close = close_;
    options.chunked = response.stream && reader_->http_1_1();
    out_.clear();
    const bool more = write_response(out_, response, options);
    if (!more) response.stream.reset();
    sent_ = send_at_once();
    const bool unsent = tls_ && tls_->has_unsent();
    return sent_ == out_.size() && !unsent && !more;
}

/// The rest of it. False when the connection is over.
Task<bool> Connection::end_write(Response response) {
    bool sent = co_await send(sent_);
    if (sent && response.stream) {
        const bool chunked = reader_->http_1_1();
        sent = co_await send_stream(std::move(response.stream), chunked);
    }
    if (sent) co_return keeps_on();
    close_ = false;  // nothing to linger for
    co_return false;
}

/// After an answer: whether the connection serves another request.
bool Connection::keeps_on() {
    if (out_.capacity() > discard_limit) std::string().swap(out_);
    return !close_;
}

/// What the socket takes without waiting, which is all of most answers: an operation of Asio's
/// would cost a turn of its loop more. Who has sent the next request already does not get this, so
/// that a turn serves one request of each connection.
std::size_t Connection::send_at_once() {
    return unread().empty() ? write_at_once() : 0;
}

std::size_t Connection::write_at_once() {
    if (tls_) return tls_->write_at_once(asio::buffer(out_));
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const auto sent = ::send(socket_.native_handle(), out_.data(), out_.size(), flags);
    return static_cast<std::size_t>(std::max<ssize_t>(sent, 0));  // send() hears of errors, too
}

/// The bytes of `out_` from `sent` on.
Task<bool> Connection::send(std::size_t sent) {
    writing_.set(in(limits().write_timeout));
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (sent < out_.size() || (tls_ && tls_->has_unsent())) {
        auto rest = asio::buffer(out_.data() + sent, out_.size() - sent);
        if (tls_) {
            const Transfer put = co_await tls_->write_some(rest);
            sent += put.size;
            ec = put.error;
        } else {
            sent += co_await socket_.async_write_some(rest, token);
        }
        if (ec || aborted_ || writing_.over) co_return false;
    }
    writing_.clear();
    co_return true;
}

/// Closing a socket with unread bytes resets the connection, and the reset may reach the peer
/// before it has read our last answer (RFC 9112 §9.6).
Task<void> Connection::linger() {
    error_code ec;
    if (tls_) tls_->close_notify();
    socket_.shutdown(Socket::shutdown_send, ec);
    reading_.set(in(linger_time));
    std::size_t left = linger_limit;
    while (!ec && left > 0) {
        begin_ = end_ = 0;
        const std::size_t n = co_await read_more();
        if (n == 0 || reading_.over) co_return;
        left -= std::min(left, n);
    }
}

void Connection::expire(SteadyTime now) {
    if (idle_ && is_shared()) reading_.at = std::max(reading_.at, now + microseconds(1));
    // Who waits at a sweep holds nothing of the request before; a busy connection is hardly met.
    if (idle_ && !is_shared()) {
        std::string().swap(out_);
        reader_.reset();
    }
    const bool read_over = reading_.passed(now);
    const bool write_over = writing_.passed(now);
    if (!read_over && !write_over) return;
    error_code ignored;
    socket_.cancel(ignored);
}

void Connection::drain(SteadyTime until) {
    if (idle_) reading_.at = std::min(reading_.at, until);
}

/// Whether bytes wait to be read.
bool Connection::has_input() {
    error_code ec;
    if (!unread().empty() || (tls_ && tls_->has_input())) return true;
    return socket_.available(ec) > 0 && !ec;
}

/// For an idle connection: how long the next request may take to come. Nothing: no longer.
milliseconds Connection::idle_time() {
    if (!worker_->draining()) return limits().idle_timeout;
    const auto left = worker_->grace_until() - worker_->clock().steady();
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(left));
}

void Connection::abort() {
    aborted_ = true;
    error_code ignored;
    socket_.close(ignored);
    if (room_) room_->set();
}

void serve(std::shared_ptr<Worker> worker, Socket socket, std::string peer, std::string key) {
    auto executor = worker->executor();
    auto connection = std::make_shared<Connection>(
        std::move(worker), std::move(socket), std::move(peer), std::move(key)
    );
    auto& self = *connection;
    asio::co_spawn(executor, self.run(std::move(connection)), asio::detached);
}

}  // namespace souk::http
