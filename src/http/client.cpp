// The client: Beast's response parser, driven by hand over a plain socket as in connection.cpp.
#include "http/client.hpp"

#include "http/chars.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <optional>

namespace souk::http {
namespace {

namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using boost::beast::string_view;
using boost::system::error_code;
using Endpoint = asio::generic::stream_protocol::endpoint;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;

constexpr std::size_t max_head_bytes = 64 * 1024;
constexpr std::size_t max_body_bytes = 64 * 1024 * 1024;

class ResponseReader final : public beast_http::basic_parser<false> {
public:
    explicit ResponseReader(bool head_only) {
        header_limit(max_head_bytes);
        body_limit(boost::none);  // ours, below, says what was too large
        skip(head_only);
    }
    Response& response() { return response_; }

private:
    void on_request_impl(beast_http::verb, string_view, string_view, int, error_code&) override {}
    void on_response_impl(int status, string_view, int, error_code&) override {
        response_.status = status;
    }
    void on_field_impl(beast_http::field field, string_view name, string_view value, error_code&)
        override {
        if (head_done_) return;  // a trailer
        if (field == beast_http::field::content_type)
            response_.content_type.assign(value.data(), value.size());
        response_.headers.add({name.data(), name.size()}, {value.data(), value.size()});
    }
    void on_header_impl(error_code&) override { head_done_ = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override {
        if (length.value_or(0) > max_body_bytes) ec = beast_http::error::body_limit;
    }
    std::size_t on_body_impl(string_view body, error_code& ec) override { return take(body, ec); }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override {
        return take(body, ec);
    }
    void on_finish_impl(error_code&) override {}

    std::size_t take(string_view body, error_code& ec) {
        if (response_.body.size() + body.size() > max_body_bytes) {
            ec = beast_http::error::body_limit;
            return 0;
        }
        response_.body.append(body.data(), body.size());
        return body.size();
    }

    Response response_;
    bool head_done_ = false;
};

bool is_safe_text(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        return is_control(c) && c != '\t';
    });
}

/// Whether a request may be sent again when the server hung up on the first one.
bool is_repeatable(Method method, const Headers& headers) {
    return (method != Method::post && method != Method::patch) || headers.has("Idempotency-Key");
}

Error broken(std::string detail) {
    return unavailable("broken", std::move(detail));
}

/// The wait for one request's deadline.
struct Watch {
    asio::cancellation_signal stop;
    bool over = false;  // the request ended first
};

}  // namespace

Result<ClientTarget> ClientTarget::parse(std::string_view url) {
    const auto bad = [&] {
        return invalid(
            "bad_url", "\"" + std::string(url) + "\" is neither http://HOST:PORT nor unix:PATH"
        );
    };
    ClientTarget out;
    if (url.starts_with("unix:")) {
        out.unix_socket = std::string(url.substr(5));
        if (out.unix_socket.empty()) return bad();
        return out;
    }
    if (!url.starts_with("http://")) return bad();
    auto rest = url.substr(7);
    if (rest.ends_with('/')) rest.remove_suffix(1);
    out.port = 80;
    auto colon = rest.rfind(':');
    if (rest.starts_with('[')) {
        const auto bracket = rest.find(']');
        if (bracket == std::string_view::npos) return bad();
        out.host = rest.substr(1, bracket - 1);
        if (bracket + 1 == rest.size()) return out;
        if (rest[bracket + 1] != ':') return bad();
        colon = bracket + 1;
    } else {
        out.host = rest.substr(0, colon);
    }
    if (out.host.empty() || out.host.find_first_of("/?#@ %") != std::string::npos) return bad();
    if (!is_safe_text(out.host)) return bad();
    if (colon == std::string_view::npos) return out;
    const auto port = rest.substr(colon + 1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (ec != std::errc() || end != port.data() + port.size() || out.port == 0) return bad();
    return out;
}

/// The connection; shared with the watch that ends it at the deadline.
struct Client::State : std::enable_shared_from_this<Client::State> {
    State(Executor executor, ClientTarget target)
        : executor(executor), target(std::move(target)), socket(executor) {}

    Task<Result<Response>> send(
        Method method, std::string target, Headers headers, std::string body
    );
    Task<Result<Response>> attempt(Method method, bool fresh);
    Task<Result<void>> connect();
    Task<std::vector<Endpoint>> resolve();
    Task<bool> write();
    Task<Result<Response>> read(Method method);
    Task<void> await_deadline(
        std::shared_ptr<State> self, std::shared_ptr<Watch> watch, Clock& clock, microseconds time
    );
    void start_watch(Clock& clock, microseconds time);
    void end_watch();

    bool usable();
    void close();
    std::string host_field() const;
    void serialize(Method method, const std::string& target, const Headers&, const std::string&);

    Executor executor;
    ClientTarget target;
    Socket socket;
    std::vector<char> in;
    std::size_t unread = 0;
    std::string out;
    bool answered = false;  // a byte of the answer arrived
    bool expired = false;
    std::shared_ptr<Watch> watch;
};

void Client::State::close() {
    error_code ignored;
    socket.close(ignored);
    unread = 0;
}

/// Whether the kept connection still stands: a server that hung up left an end of file behind.
bool Client::State::usable() {
    if (!socket.is_open()) return false;
    char byte = 0;
    const auto n = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::string Client::State::host_field() const {
    if (!target.unix_socket.empty()) return "localhost";
    const bool v6 = target.host.find(':') != std::string::npos;
    return (v6 ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port);
}

void Client::State::serialize(
    Method method, const std::string& path, const Headers& headers, const std::string& body
) {
    out.clear();
    out += to_string(method);
    out += ' ';
    out += path;
    out += " HTTP/1.1\r\nHost: ";
    out += host_field();
    out += "\r\n";
    for (const auto& [name, value] : headers) {
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
    if (!body.empty() || method == Method::post || method == Method::put || method == Method::patch)
        out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    out += "\r\n";
    out += body;
}

Task<std::vector<Endpoint>> Client::State::resolve() {
    std::vector<Endpoint> out;
    if (!target.unix_socket.empty()) {
        if (target.unix_socket.native().size() < 108)
            out.emplace_back(asio::local::stream_protocol::endpoint(target.unix_socket.string()));
        co_return out;
    }
    error_code ec;
    const auto address = asio::ip::make_address(target.host, ec);
    if (!ec) {
        out.emplace_back(tcp::endpoint(address, target.port));
        co_return out;
    }
    Resolver resolver(executor);
    auto token = asio::redirect_error(use_task, ec);
    const auto port = std::to_string(target.port);
    auto results = co_await resolver.async_resolve(target.host, port, token);
    if (ec) co_return out;
    for (const auto& entry : results)
        out.emplace_back(entry.endpoint());
    co_return out;
}

Task<Result<void>> Client::State::connect() {
    close();
    const auto endpoints = co_await resolve();
    error_code ec = asio::error::host_not_found;
    for (const auto& endpoint : endpoints) {
        if (expired) break;
        close();
        socket = Socket(executor);
        auto token = asio::redirect_error(use_task, ec);
        co_await socket.async_connect(endpoint, token);
        if (ec) continue;
        error_code ignored;  // not for Unix sockets
        socket.set_option(tcp::no_delay(true), ignored);
        co_return Result<void>();
    }
    close();
    const auto where = target.unix_socket.empty() ? host_field() : target.unix_socket.string();
    co_return unavailable("connect", "cannot connect to " + where + ": " + ec.message());
}

Task<bool> Client::State::write() {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    for (std::size_t sent = 0; sent < out.size();) {
        auto rest = asio::buffer(out.data() + sent, out.size() - sent);
        sent += co_await socket.async_write_some(rest, token);
        if (ec || expired) co_return false;
    }
    co_return true;
}

Task<Result<Response>> Client::State::read(Method method) {
    in.resize(max_head_bytes);
    std::optional<ResponseReader> reader;
    reader.emplace(method == Method::head);
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    bool starved = unread == 0;
    while (!reader->is_done()) {
        if (starved) {
            if (unread == in.size()) co_return broken("the answer's head is too long");
            auto space = asio::buffer(in.data() + unread, in.size() - unread);
            const std::size_t n = co_await socket.async_read_some(space, token);
            if (expired) co_return broken("the deadline passed");
            if (ec == asio::error::eof && answered) reader->put_eof(ec);
            if (ec) co_return broken("the connection ended: " + ec.message());
            if (n == 0) break;  // a body that ends with the connection
            answered = true;
            unread += n;
        }
        const std::size_t taken = reader->put(asio::const_buffer(in.data(), unread), ec);
        std::copy(in.begin() + taken, in.begin() + unread, in.begin());
        unread -= taken;
        starved = ec == beast_http::error::need_more || unread == 0;
        if (ec && ec != beast_http::error::need_more)
            co_return broken("the answer is malformed: " + ec.message());
        // 1xx: the answer proper follows.
        if (reader->is_done() && reader->response().status / 100 == 1)
            reader.emplace(method == Method::head);
    }
    if (!reader->keep_alive() || unread > 0) close();
    co_return std::move(reader->response());
}

Task<Result<Response>> Client::State::attempt(Method method, bool fresh) {
    answered = false;
    if (fresh) {
        auto connected = co_await connect();
        if (!connected) co_return connected.error();
    }
    const bool written = co_await write();
    // A server that refuses early answers and hangs up while we still write: look before giving up.
    auto response = co_await read(method);
    if (!written || !response) close();
    co_return response;
}

Task<Result<Response>> Client::State::send(
    Method method, std::string path, Headers headers, std::string body
) {
    serialize(method, path, headers, body);
    const bool kept = usable();
    auto response = co_await attempt(method, !kept);
    // The server's idle limit may have met our request on its way: once more, if that is harmless.
    if (!response && kept && !answered && !expired && is_repeatable(method, headers))
        response = co_await attempt(method, true);
    co_return response;
}

/// `self` keeps the state while this waits.
Task<void> Client::State::await_deadline(
    [[maybe_unused]] std::shared_ptr<State> self,
    std::shared_ptr<Watch> watch,
    Clock& clock,
    microseconds time
) {
    const bool woke = co_await clock.sleep(time);
    if (!woke || watch->over) co_return;
    expired = true;
    close();
}

void Client::State::start_watch(Clock& clock, microseconds time) {
    expired = false;
    watch = std::make_shared<Watch>();
    auto handler = asio::bind_cancellation_slot(watch->stop.slot(), asio::detached);
    asio::co_spawn(executor, await_deadline(shared_from_this(), watch, clock, time), handler);
}

void Client::State::end_watch() {
    if (!watch || watch->over) return;
    watch->over = true;
    watch->stop.emit(asio::cancellation_type::terminal);
}

Client::Client(Executor executor, ClientTarget target)
    : state_(std::make_shared<State>(executor, std::move(target))) {}
Client::~Client() {
    if (state_) state_->end_watch();
}
Client::Client(Client&&) noexcept = default;

Task<Result<Response>> Client::send(
    Method method,
    std::string target,
    Headers headers,
    std::string body,
    Clock& clock,
    Deadline deadline
) {
    auto state = state_;
    bool clean =
        target.starts_with('/') && is_safe_text(target) && target.find(' ') == std::string::npos;
    for (const auto& [name, value] : headers)
        clean = clean && is_token(name) && is_safe_text(value);
    if (!clean) co_return invalid("bad_request", "a target or header field is malformed");
    const auto time = deadline.remaining(clock);
    if (time <= microseconds(0)) co_return Error(ErrorKind::timeout, "timeout", "no time is left");

    state->start_watch(clock, time);
    auto response =
        co_await state->send(method, std::move(target), std::move(headers), std::move(body));
    state->end_watch();
    if (!response && state->expired)
        co_return Error(ErrorKind::timeout, "timeout", "no answer came in time");
    co_return response;
}

}  // namespace souk::http
