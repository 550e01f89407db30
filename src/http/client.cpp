#include "http/client.hpp"

#include "http/chars.hpp"
#include "http/client_connection.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>

#include <algorithm>
#include <charconv>

namespace souk::http {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;

constexpr std::size_t max_body_bytes = 64 * 1024 * 1024;

/// Whether a request may be sent again when the server hung up on the first one.
bool is_repeatable(Method method, const Headers& headers) {
    return (method != Method::post && method != Method::patch) || headers.has("Idempotency-Key");
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
    if (std::any_of(out.host.begin(), out.host.end(), is_control)) return bad();
    if (colon == std::string_view::npos) return out;
    const auto port = rest.substr(colon + 1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (ec != std::errc() || end != port.data() + port.size() || out.port == 0) return bad();
    return out;
}

/// The connection; shared with the watch that ends it at the deadline.
struct Client::State : std::enable_shared_from_this<Client::State> {
    State(Executor executor, ClientTarget target)
        : executor(executor), target(std::move(target)), connection(executor, max_body_bytes) {}

    Task<Result<Response>> send(
        Method method, std::string target, Headers headers, std::string body
    );
    Task<Result<Response>> attempt(Method method, bool fresh);
    Task<Result<void>> connect();
    Task<std::vector<Protocol::endpoint>> resolve();
    Task<void> await_deadline(
        std::shared_ptr<State> self, std::shared_ptr<Watch> watch, Clock& clock, microseconds time
    );
    void start_watch(Clock& clock, microseconds time);
    void end_watch();
    std::string host_field() const;

    Executor executor;
    ClientTarget target;
    ClientConnection connection;
    std::string out;
    bool expired = false;
    std::shared_ptr<Watch> watch;
};

std::string Client::State::host_field() const {
    if (!target.unix_socket.empty()) return "localhost";
    const bool v6 = target.host.find(':') != std::string::npos;
    return (v6 ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port);
}

Task<std::vector<Protocol::endpoint>> Client::State::resolve() {
    std::vector<Protocol::endpoint> out;
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
    const auto endpoints = co_await resolve();
    std::string why = "the host is not known";
    for (const auto& endpoint : endpoints) {
        if (expired) break;
        auto connected = co_await connection.connect(endpoint, target.tls, target.host);
        if (connected) co_return connected;
        why = connected.error().detail;
    }
    const auto where = target.unix_socket.empty() ? host_field() : target.unix_socket.string();
    co_return unavailable("connect", "cannot connect to " + where + ": " + why);
}

Task<Result<Response>> Client::State::attempt(Method method, bool fresh) {
    if (fresh) {
        auto connected = co_await connect();
        if (!connected) co_return connected.error();
    }
    co_return co_await connection.exchange(out, method == Method::head);
}

Task<Result<Response>> Client::State::send(
    Method method, std::string path, Headers headers, std::string body
) {
    out.clear();
    write_request(out, method, path, host_field(), headers, body);
    const bool kept = connection.usable();
    auto response = co_await attempt(method, !kept);
    const bool untouched = !response && kept && !connection.answered() && !expired;
    // The server's idle limit may have met our request on its way: once more, if that is harmless.
    if (untouched && is_repeatable(method, headers)) response = co_await attempt(method, true);
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
    connection.close();
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

std::vector<std::string> Client::peer_names() const {
    return state_->connection.peer_names();
}

Task<Result<Response>> Client::send(
    Method method,
    std::string target,
    Headers headers,
    std::string body,
    Clock& clock,
    Deadline deadline
) {
    auto state = state_;
    if (!is_clean(target, headers))
        co_return invalid("bad_request", "a target or header field is malformed");
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
