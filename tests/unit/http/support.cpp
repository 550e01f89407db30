#include "support.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace souk::http::test {

TestServer::TestServer(
    Routes routes,
    ServerOptions options,
    Edge* edge,
    Clock* clock,
    std::size_t threads,
    std::vector<Descriptor> adopted
)
    : clock_(clock ? clock : &base::system_clock()), metrics_(observe::make_metrics()) {
    options.name = "public";
    options.access_log = false;
    router_.add("shop", std::move(routes));
    std::vector<Executor> executors;
    for (std::size_t i = 0; i < threads; ++i)
        executors.push_back(loops_.emplace_back(std::make_unique<Loop>())->executor());
    server_ = make_server(std::move(options), executors, router_, edge, *clock_, *metrics_);
    auto listening = adopted.empty() ? server_->listen() : server_->adopt(std::move(adopted));
    if (!listening) throw std::runtime_error(listening.error().detail);
}

TestServer::~TestServer() {
    if (!stopped_) stop();
    for (auto& loop : loops_)
        loop->end();
}

void TestServer::stop(milliseconds within) {
    stopped_ = true;
    Deadline deadline(*clock_, within);
    asio::co_spawn(executor(), server_->stop(deadline), asio::use_future).get();
}

namespace {

void limit_waits(int fd) {
    timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

Wire::Wire(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    limit_waits(fd_);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
        throw std::runtime_error("connect failed");
}

Wire::Wire(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
    limit_waits(fd_);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
        throw std::runtime_error("connect failed");
}

Wire::~Wire() {
    if (fd_ >= 0) ::close(fd_);
}

void Wire::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;  // the server closed; what it answered is still to be read
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

bool Wire::fill() {
    char bytes[16'384];
    const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) FAIL("the server did not answer");
    was_reset_ = n < 0 && errno == ECONNRESET;
    if (n <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
}

std::string Wire::response(bool head_only) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
        if (!fill()) return std::exchange(buffer_, {});
    end += 4;
    const auto length = field_of(std::string_view(buffer_).substr(0, end), "Content-Length");
    const std::size_t whole = end + (head_only || length.empty() ? 0 : std::stoul(length));
    while (buffer_.size() < whole)
        if (!fill()) break;
    auto out = buffer_.substr(0, whole);
    buffer_.erase(0, whole);
    return out;
}

std::string Wire::rest() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

std::string Wire::some() {
    if (buffer_.empty()) fill();
    return std::exchange(buffer_, {});
}

std::size_t Wire::try_send(std::string_view bytes) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Wire::closed() {
    return rest().empty();
}

void Wire::shutdown_send() {
    ::shutdown(fd_, SHUT_WR);
}

void Wire::reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(fd_);
    fd_ = -1;
}

int status_of(std::string_view response) {
    if (!response.starts_with("HTTP/1.1 ") || response.size() < 12) return 0;
    return std::stoi(std::string(response.substr(9, 3)));
}

std::string field_of(std::string_view response, std::string_view name) {
    const auto head = response.substr(0, response.find("\r\n\r\n"));
    const auto line = "\r\n" + std::string(name) + ": ";
    const auto start = head.find(line);
    if (start == std::string_view::npos) return {};
    const auto value = head.substr(start + line.size());
    return std::string(value.substr(0, value.find("\r\n")));
}

std::string body_of(std::string_view response) {
    const auto end = response.find("\r\n\r\n");
    return end == std::string_view::npos ? "" : std::string(response.substr(end + 4));
}

std::size_t count_of(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (auto i = text.find(part); i != std::string_view::npos; i = text.find(part, i + 1))
        ++n;
    return n;
}

namespace {

Task<Result<Response>> answer(Response response) {
    co_return response;
}

}  // namespace

Routes Shop::routes() {
    Routes out;
    out.push_back(Route(
        Method::get,
        "/hello",
        Access::everyone(),
        "Say hello",
        [this](const CallContext&, const Request& request) {
            ++hellos;
            auto n = request.query_param("n");
            return answer(Response(200, "text/plain", "hello" + n.value_or("")));
        }
    ));
    out.push_back(Route(
                      Method::post,
                      "/echo",
                      Access::everyone(),
                      "Say it again",
                      [this](const CallContext&, const Request& request) {
                          ++echoes;
                          std::string trailer(request.headers.get("X-Trailer"));
                          return answer(Response(200, "text/plain", request.body + trailer));
                      }
    ).max_body(1024));
    out.push_back(Route(
        Method::get,
        "/sentinel",
        Access::everyone(),
        "Never reached",
        [this](const CallContext&, const Request&) {
            ++sentinels;
            return answer(Response::no_content());
        }
    ));
    out.push_back(Route(
                      Method::post,
                      "/orders",
                      Access::signed_in(),
                      "Place an order",
                      [](const CallContext& context, const Request&) {
                          return answer(Response(201, "text/plain", context.identity.subject));
                      }
    )
                      .body([](souk::json::ObjectReader& in) { in.text("sku"); })
                      .idempotent_by_key()
                      .rate(RateClass::checkout)
                      .answers(201));
    out.push_back(Route(
        Method::get,
        "/items/{id}",
        Access::everyone(),
        "An item",
        [](const CallContext&, const Request& request) {
            Response response(200, "text/plain", std::string(request.param("id")));
            response.headers.set("ETag", "\"v1\"");
            response.headers.set("X-Evil", "a\r\nSet-Cookie: b");
            return answer(std::move(response));
        }
    ));
    out.push_back(Route(
        Method::get,
        "/boom",
        Access::everyone(),
        "Breaks",
        [](const CallContext&, const Request&) -> Task<Result<Response>> {
            throw std::runtime_error("secret words");
        }
    ));
    out.push_back(Route(
        Method::get,
        "/away",
        Access::everyone(),
        "Is away",
        [](const CallContext&, const Request&) -> Task<Result<Response>> {
            co_return unavailable("away", "no database answers at 10.0.0.7");
        }
    ));
    out.push_back(Route(
        Method::get,
        "/whoami",
        Access::everyone(),
        "What the kernel knows of the caller",
        [](const CallContext& context, const Request& request) {
            return answer(Response(
                200,
                "text/plain",
                request.remote_address + " " + context.request_id + " " + context.traceparent
            ));
        }
    ));
    return out;
}

}  // namespace souk::http::test
