#include "support.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace souk::peers::test {

using http::Access;
using http::Method;
using http::Request;
using http::Response;
using http::Route;

const security::SigningKeyPair& gateway_key() {
    static const auto pair = security::SigningKeyPair::generate();
    return pair;
}

namespace {

void remember(Seen& seen, const CallContext& context) {
    std::lock_guard lock(seen.mutex);
    ++seen.calls;
    seen.identity = context.identity;
    seen.identity_token = context.identity_token;
    seen.request_id = context.request_id;
    seen.traceparent = context.traceparent;
    seen.time_left = context.deadline.remaining(base::system_clock());
}

Task<Result<Response>> answer(Result<Response> response) {
    co_return response;
}

Task<Result<Response>> wait_and_answer(Seen& seen, Response response) {
    ++seen.held;
    while (seen.hold)
        co_await base::system_clock().sleep(milliseconds(2));
    --seen.held;
    co_return response;
}

Error out_of_stock() {
    std::vector<FieldError> fields;
    fields.emplace_back("/lines/0", "too_many", "only 3 are left");
    return conflict("out_of_stock", "there is not enough of it")
        .with_fields(std::move(fields))
        .with_retry_after(7);
}

Route api(std::string method, http::Handler handler) {
    return Route(
        Method::post,
        "/internal/shop/api/" + method,
        Access::everyone(),
        "For peers",
        std::move(handler)
    );
}

}  // namespace

static Route get(std::string path, http::Handler handler) {
    return Route(Method::get, path, Access::everyone(), "For everybody", std::move(handler));
}

http::Routes shop_routes(Seen& seen) {
    http::Routes out;
    out.push_back(api("echo", [&](const CallContext& context, const Request& request) {
        remember(seen, context);
        return answer(Response(200, "application/json", request.body));
    }));
    out.push_back(api("nothing", [&](const CallContext& context, const Request&) {
        remember(seen, context);
        return answer(Response::no_content());
    }));
    out.push_back(api("out_of_stock", [&](const CallContext& context, const Request&) {
        remember(seen, context);
        return answer(out_of_stock());
    }));
    out.push_back(api("hold", [&](const CallContext& context, const Request&) {
        remember(seen, context);
        return wait_and_answer(seen, Response(200, "application/json", "{}"));
    }));
    out.push_back(Route(
        Method::get,
        "/api/mine",
        Access::signed_in(),
        "For who is signed in",
        [&](const CallContext& context, const Request&) {
            remember(seen, context);
            return answer(Response::no_content());
        }
    ));
    out.push_back(get("/api/quick", [](const CallContext&, const Request&) {
        return answer(Response(200, "text/plain", "quick"));
    }));
    out.push_back(get("/api/held", [&](const CallContext& context, const Request&) {
        remember(seen, context);
        return wait_and_answer(seen, Response(200, "text/plain", "held"));
    }));
    out.push_back(get("/api/wide", [](const CallContext&, const Request&) {
        return answer(Response(200, "text/plain", std::string(60'000, 'w')));
    }));
    out.push_back(get("/api/long", [](const CallContext&, const Request&) {
        return answer(Response(200, "text/plain", std::string(100'000, 'l')));
    }));
    out.push_back(Route(
                      Method::post,
                      "/api/echo",
                      Access::everyone(),
                      "Comes back as it comes in",
                      [](const CallContext&, const Request& request) {
                          Response response(200, "text/plain", request.body);
                          response.stream = request.stream;
                          return answer(std::move(response));
                      }
    )
                      .max_body(64 << 20)
                      .streams_body());
    return out;
}

PeerServer::PeerServer(http::ServerOptions options, http::Edge* edge)
    : edge_(
          PeerCredential::shared_key(key),
          security::InternalVerifier({gateway_key().public_key()}),
          base::system_clock()
      )
    , metrics_(observe::make_metrics()) {
    options.name = "internal";
    options.access_log = false;
    options.internal = true;
    router_.add("shop", shop_routes(seen));
    server_ = http::make_server(
        std::move(options),
        {loop_.executor()},
        router_,
        edge != nullptr ? edge : &edge_,
        base::system_clock(),
        *metrics_
    );
    auto listening = server_->listen();
    if (!listening) throw std::runtime_error(listening.error().detail);
}

PeerServer::~PeerServer() {
    seen.hold = false;
    if (!stopped_) stop();
    loop_.end();
}

void PeerServer::stop() {
    stopped_ = true;
    Deadline deadline(base::system_clock(), seconds(1));
    asio::co_spawn(loop_.executor(), server_->stop(deadline), asio::use_future).get();
}

namespace {

int listen_anywhere(std::uint16_t& port, int queue = 64) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener, queue) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) != 0)
        throw std::runtime_error("cannot listen");
    port = ntohs(at.sin_port);
    return listener;
}

}  // namespace

Scripted::Scripted(std::string answer)
    : answer_(std::move(answer)), listener_(listen_anywhere(port_)), acceptor_([this] {
        for (;;) {
            const int socket = ::accept(listener_, nullptr, nullptr);
            if (socket < 0 || ended_) return;
            ++connections;
            std::lock_guard lock(mutex_);
            sockets_.push_back(socket);
            workers_.emplace_back([this, socket] { serve(socket); });
        }
    }) {}

Scripted::~Scripted() {
    ended_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (const int socket : sockets_)
        ::shutdown(socket, SHUT_RDWR);
    for (auto& worker : workers_)
        worker.join();
    for (const int socket : sockets_)
        ::close(socket);
    ::close(listener_);
}

void Scripted::serve(int socket) {
    std::string in;
    char bytes[16'384];
    for (int answered = 0;;) {
        const auto n = ::recv(socket, bytes, sizeof bytes, 0);
        if (n <= 0) {
            ++ended;
            return;
        }
        in.append(bytes, static_cast<std::size_t>(n));
        // Calls carry "{}": a request is complete with its last two bytes.
        const auto end = in.find("\r\n\r\n");
        if (end == std::string::npos || in.size() < end + 6) continue;
        in.clear();
        const int number = ++requests;
        if (answer_ == silence) continue;
        if (garbage_every > 0 && number % garbage_every == 0) {
            ::send(socket, "rubbish\r\n\r\n", 11, MSG_NOSIGNAL);
            ::shutdown(socket, SHUT_RDWR);
            return;
        }
        if (answered++ == answers) {
            ::shutdown(socket, SHUT_RDWR);
            return;
        }
        if (!answer_.empty()) ::send(socket, answer_.data(), answer_.size(), MSG_NOSIGNAL);
        if (!answer_.empty() && !hang_up_after_answer) continue;
        ::shutdown(socket, SHUT_RDWR);
        return;
    }
}

FullListener::FullListener() {
    sockets_.push_back(listen_anywhere(port_, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 4; ++i) {
        const int filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ::connect(filler, reinterpret_cast<sockaddr*>(&to), sizeof to);
        sockets_.push_back(filler);
    }
}

FullListener::~FullListener() {
    for (const int socket : sockets_)
        ::close(socket);
}

std::uint16_t dead_port() {
    std::uint16_t port = 0;
    const int listener = listen_anywhere(port);
    ::close(listener);
    return port;
}

Task<Result<std::vector<asio::ip::address>>> Names::resolve(std::string host) {
    ++asked;
    std::lock_guard lock(mutex_);
    const auto found = known_.find(host);
    if (found == known_.end()) co_return unavailable("resolve", "no such host");
    co_return found->second;
}

void Names::set(const std::string& host, std::vector<std::string> addresses) {
    std::vector<asio::ip::address> parsed;
    for (const auto& address : addresses)
        parsed.push_back(asio::ip::make_address(address));
    std::lock_guard lock(mutex_);
    known_[host] = std::move(parsed);
}

Caller::Caller(std::string addresses, RemoteOptions options, Resolver* names)
    : metrics_(observe::make_metrics()), system_(make_system_resolver()) {
    options.module = "shop";
    options.addresses = std::move(addresses);
    if (!options.tls && options.peer_key.empty()) options.peer_key = key;
    auto made = HttpRemote::make(
        std::move(options),
        {loop_.executor()},
        base::system_clock(),
        *metrics_,
        names != nullptr ? *names : *system_
    );
    if (!made) throw std::runtime_error(made.error().detail);
    remote_ = std::move(*made);
}

Caller::~Caller() {
    if (remote_) stop();
    loop_.end();
}

namespace {

Task<Result<http::Response>> forward_with(
    Pool& pool, std::shared_ptr<Outgoing> request, CallContext context
) {
    co_return co_await pool.forward(std::move(request), context);
}

}  // namespace

Result<http::Response> Caller::forward(std::shared_ptr<Outgoing> request) {
    auto task = forward_with(remote_->pool(), std::move(request), context());
    return start(loop_.executor(), std::move(task)).get();
}

namespace {

Task<Result<std::string>> read_all(std::shared_ptr<http::BodyStream> stream) {
    std::string out;
    for (;;) {
        auto part = co_await stream->read();
        if (!part) co_return part.error();
        if (part->empty()) co_return out;
        out += *part;
    }
}

}  // namespace

Result<std::string> Caller::read(std::shared_ptr<http::BodyStream> stream) {
    return start(loop_.executor(), read_all(std::move(stream))).get();
}

void Caller::stop() {
    asio::co_spawn(loop_.executor(), remote_->stop(), asio::use_future).get();
}

CallContext Caller::context(milliseconds within) const {
    return CallContext(Deadline(base::system_clock(), within));
}

Task<Result<json::value>> call_with(
    Remote& remote, std::string method, CallContext context, json::value arguments
) {
    co_return co_await remote.call(method, std::move(arguments), context);
}

std::future<Result<json::value>> Caller::start_call(
    std::string method, CallContext context, json::value arguments
) {
    return start(
        loop_.executor(),
        call_with(*remote_, std::move(method), std::move(context), std::move(arguments))
    );
}

Result<json::value> Caller::call(std::string method, milliseconds within) {
    return start_call(std::move(method), context(within)).get();
}

Result<json::value> Caller::call(std::string method, CallContext context) {
    return start_call(std::move(method), std::move(context)).get();
}

double metric(const std::string& exposition, std::string_view line) {
    const auto at = exposition.find("\n" + std::string(line) + " ");
    if (at == std::string::npos) return -1;
    return std::stod(exposition.substr(at + line.size() + 2));
}

}  // namespace souk::peers::test
