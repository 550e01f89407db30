// Beast's response parser, driven by hand over a plain socket as in connection.cpp.
#include "http/client_connection.hpp"

#include "http/body_parts.hpp"
#include "http/chars.hpp"
#include "http/response_reader.hpp"
#include "http/tls.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/http/error.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <iterator>
#include <optional>

namespace souk::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t max_head_bytes = ResponseReader::max_head_bytes;

enum class Until { head, part, end };

bool is_safe_text(std::string_view text) {
    return !has_control(text) || std::none_of(text.begin(), text.end(), [](char c) {
        return is_control(c) && c != '\t';
    });
}

Error broken(std::string detail) {
    return unavailable("broken", std::move(detail));
}

Error unconnected(std::string detail) {
    return unavailable("connect", std::move(detail));
}

}  // namespace

/// A request's body on its way.
struct ClientConnection::Upload {
    explicit Upload(std::shared_ptr<BodyStream> body) : parts(std::move(body), true) {}
    BodyParts parts;
    bool abandoned = false;  // the connection was closed
};

struct ClientConnection::State {
    State(Executor executor, std::size_t max_body_bytes)
        : executor(executor), max_body_bytes(max_body_bytes), socket(executor) {}

    void start(bool to_head, std::size_t body_limit);
    std::size_t write_at_once(std::string_view bytes);
    bool has_unsent() const { return tls && tls->has_unsent(); }
    Task<bool> write(std::string_view bytes);
    Task<Result<void>> read(Until until);
    bool has(Until until);
    bool parse(error_code& ec);
    void finish();
    void close();

    Executor executor;
    const std::size_t max_body_bytes;
    std::shared_ptr<Tls> certificates;
    Socket socket;
    std::unique_ptr<TlsSession> tls;  // null: plain
    std::vector<char> in;
    std::size_t unread = 0;
    std::optional<ResponseReader> reader;
    std::size_t limit = 0;  // of the answer's body
    bool head_only = false;
    bool answered = false;
    bool whole = true;               // what was to be sent at once was sent
    std::shared_ptr<Upload> upload;  // null when none is under way
    std::optional<Error> body_fault;
};

void ClientConnection::State::close() {
    error_code ignored;
    if (tls) tls->close_notify();
    socket.close(ignored);
    unread = 0;
    if (upload) upload->abandoned = true;
}

void ClientConnection::State::start(bool to_head, std::size_t body_limit) {
    in.resize(max_head_bytes);
    head_only = to_head;
    limit = body_limit;
    reader.emplace(head_only, limit);
    answered = false;
    body_fault.reset();
}

/// What of `bytes` the socket takes without waiting, which is all of most requests.
std::size_t ClientConnection::State::write_at_once(std::string_view bytes) {
    if (!socket.is_open()) return 0;
    if (tls) return tls->write_at_once(asio::buffer(bytes.data(), bytes.size()));
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const auto sent = ::send(socket.native_handle(), bytes.data(), bytes.size(), flags);
    return static_cast<std::size_t>(std::max<ssize_t>(sent, 0));  // write() hears of errors, too
}

Task<bool> ClientConnection::State::write(std::string_view bytes) {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (!bytes.empty() || has_unsent()) {
        auto rest = asio::buffer(bytes.data(), bytes.size());
        std::size_t sent = 0;
        if (tls) {
            const Transfer put = co_await tls->write_some(rest);
            sent = put.size;
            ec = put.error;
        } else {
            sent = co_await socket.async_write_some(rest, token);
        }
        if (ec || !socket.is_open()) co_return false;
        bytes.remove_prefix(sent);
    }
    co_return true;
}

/// Gives the parser what is unread. True when it wants more.
bool ClientConnection::State::parse(error_code& ec) {
    const std::size_t taken = reader->put(asio::const_buffer(in.data(), unread), ec);
    std::copy(in.begin() + taken, in.begin() + unread, in.begin());
    unread -= taken;
    const bool starved = ec == beast_http::error::need_more || unread == 0;
    if (ec == beast_http::error::need_more) ec = {};
    return starved;
}

bool ClientConnection::State::has(Until until) {
    if (reader->is_done()) return true;
    if (until == Until::head) return reader->is_header_done();
    return until == Until::part && !reader->response().body.empty();
}

Task<Result<void>> ClientConnection::State::read(Until until) {
    bool starved = unread == 0;
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (!has(until)) {
        ec = {};
        if (starved) {
            if (unread == in.size()) co_return broken("the answer's head is too long");
            auto space = asio::buffer(in.data() + unread, in.size() - unread);
            std::size_t got = 0;
            if (tls) {
                const Transfer transfer = co_await tls->read_some(space);
                got = transfer.size;
                ec = transfer.error;
            } else {
                got = co_await socket.async_read_some(space, token);
            }
            if (!socket.is_open()) co_return broken("the connection was given up");
            if (ec == asio::error::eof && answered) reader->put_eof(ec);
            if (ec) co_return broken("the connection ended: " + ec.message());
            if (got == 0) break;  // a body that ends with the connection
            answered = true;
            unread += got;
        }
        starved = parse(ec);
        if (ec) co_return broken("the answer is malformed: " + ec.message());
        // 1xx: the answer proper follows.
        if (reader->is_done() && reader->response().status / 100 == 1)
            reader.emplace(head_only, limit);
    }
    co_return Result<void>();
}

/// The answer was read to its end.
void ClientConnection::State::finish() {
    if (!reader->keep_alive() || unread > 0 || upload || !whole) close();
}

ClientConnection::ClientConnection(Executor executor, std::size_t max_body_bytes)
    : state_(std::make_shared<State>(executor, max_body_bytes)) {}

ClientConnection::~ClientConnection() {
    if (state_->upload) state_->close();
}

Task<Result<void>> ClientConnection::connect(
    Protocol::endpoint to, std::shared_ptr<Tls> tls, std::string server_name
) {
    // A body under way goes on with the state that it has, and finds it closed.
    if (state_->upload) {
        state_->close();
        state_ = std::make_shared<State>(state_->executor, state_->max_body_bytes);
    }
    State& state = *state_;
    state.close();
    state.tls.reset();
    state.socket = Socket(state.executor);
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    co_await state.socket.async_connect(to, token);
    if (!ec && !state.socket.is_open()) ec = asio::error::operation_aborted;
    if (ec) {
        state.close();
        co_return unconnected(ec.message());
    }
    state.socket.set_option(asio::ip::tcp::no_delay(true), ec);  // not for Unix sockets
    if (!tls) co_return Result<void>();
    state.tls = tls->open(state.socket, server_name);
    state.certificates = std::move(tls);
    auto done = co_await state.tls->handshake();
    if (done) co_return done;
    state.close();
    co_return unconnected(done.error().detail);
}

Task<Result<Response>> ClientConnection::exchange(std::string_view bytes, bool head_only) {
    State& state = *state_;
    state.start(head_only, state.max_body_bytes);
    bytes.remove_prefix(state.write_at_once(bytes));
    state.whole = bytes.empty() && !state.has_unsent();
    if (!state.whole) state.whole = co_await state.write(bytes);
    // A server that refuses early answers and hangs up while we still write: look before giving up.
    auto read = co_await state.read(Until::end);
    if (!read) {
        state.close();
        co_return read.error();
    }
    state.finish();
    co_return std::move(state.reader->response());
}

Task<Result<Response>> ClientConnection::begin(
    std::string_view bytes, std::shared_ptr<BodyStream> body, bool head_only
) {
    auto state = state_;
    state->start(head_only, SIZE_MAX);
    bytes.remove_prefix(state->write_at_once(bytes));
    state->whole = bytes.empty() && !state->has_unsent();
    if (!state->whole) state->whole = co_await state->write(bytes);
    if (state->whole && body) {
        auto upload = state->upload = std::make_shared<Upload>(std::move(body));
        spawn(state->executor, [state, upload] { return pump(state, upload); });
    }
    auto read = co_await state->read(Until::head);
    if (!read) state->close();
    if (state->body_fault) co_return *state->body_fault;
    if (!read) co_return read.error();
    std::string begun = std::exchange(state->reader->response().body, {});
    Response response = std::move(state->reader->response());
    state->reader->response().body = std::move(begun);
    co_return response;
}

Task<Result<std::string>> ClientConnection::read_part() {
    auto state = state_;
    auto read = co_await state->read(Until::part);
    if (!read) {
        state->close();
        co_return read.error();
    }
    auto part = std::exchange(state->reader->response().body, {});
    if (part.empty()) state->finish();
    co_return part;
}

/// Beside the coroutine that awaits the answer: who answers before it has read all is heard, and
/// who answers while it reads, too.
Task<void> ClientConnection::pump(std::shared_ptr<State> state, std::shared_ptr<Upload> upload) {
    std::string bytes;
    bool more = true;
    while (more && !upload->abandoned) {
        auto next = co_await upload->parts.next(bytes);
        if (upload->abandoned) break;
        if (!next) {
            state->body_fault = next.error();
            state->close();
            break;
        }
        more = *next;
        const bool written = co_await state->write(bytes);
        if (!written) co_return;  // its answer may be there nevertheless
    }
    if (!upload->abandoned) state->upload.reset();
}

std::string ClientConnection::take_rest() {
    auto rest = std::move(state_->reader->response().body);
    state_->finish();
    return rest;
}

bool ClientConnection::is_complete() const {
    return state_->reader && state_->reader->is_done();
}

std::optional<std::uint64_t> ClientConnection::answer_length() const {
    const auto length = state_->reader->content_length();
    if (!length) return std::nullopt;
    return *length;
}

bool ClientConnection::is_framed() const {
    return !state_->reader->need_eof();
}

const std::optional<Error>& ClientConnection::body_fault() const {
    return state_->body_fault;
}

bool ClientConnection::usable() {
    if (!state_->socket.is_open() || (state_->tls && state_->tls->has_input())) return false;
    char byte = 0;
    const auto n = ::recv(state_->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool ClientConnection::is_open() const {
    return state_->socket.is_open();
}

bool ClientConnection::answered() const {
    return state_->answered;
}

std::vector<std::string> ClientConnection::peer_names() const {
    return state_->tls ? state_->tls->peer_names() : std::vector<std::string>();
}

bool ClientConnection::is_current() const {
    return !state_->tls || state_->certificates->is_current(*state_->tls);
}

void ClientConnection::close() {
    state_->close();
}

namespace {

void write_fields(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers
) {
    out.append(to_string(method)).append(" ").append(target);
    out.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    for (const auto& [name, value] : headers) {
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
}

}  // namespace

void write_request(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::string_view body,
    std::string_view more
) {
    out.reserve(out.size() + body.size() + 768);
    write_fields(out, method, target, host, headers);
    out += more;
    if (!body.empty() || method == Method::post || method == Method::put || method == Method::patch)
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body.size());
    out += "\r\n";
    out += body;
}

void write_streamed_head(
    std::string& out,
    Method method,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::optional<std::uint64_t> length
) {
    write_fields(out, method, target, host, headers);
    if (length)
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n\r\n", *length);
    else
        out += "Transfer-Encoding: chunked\r\n\r\n";
}

bool is_clean(std::string_view target, const Headers& headers) {
    if (!target.starts_with('/') || !is_safe_text(target)) return false;
    if (target.find(' ') != std::string_view::npos) return false;
    return std::all_of(headers.begin(), headers.end(), [](const auto& field) {
        return is_token(field.first) && is_safe_text(field.second);
    });
}

}  // namespace souk::http
