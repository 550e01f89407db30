// A client's, a gateway's and a module's end of a forwarded request, over real sockets.
#pragma once

#include "gateway/forward.hpp"
#include "security/tokens.hpp"
#include "unit/http/support.hpp"
#include "unit/peers/upstream.hpp"

#include <catch2/catch.hpp>

namespace souk::gateway::test {

using namespace souk::http;
using namespace souk::http::test;
using peers::test::peer_answer;
using peers::test::Talk;
using peers::test::Upstream;

inline constexpr std::size_t kib = 1024;
inline const std::string key = "the key that all peers share";

/// Knows one customer by the word "customer", and keeps faults to itself.
class PublicEdge final : public Edge {
public:
    Task<Result<Identity>> admit_arrival(
        const Route&, const Request& request, Arrival& arrival, Headers& response_headers
    ) override {
        response_headers.set("RateLimit", "\"browse\";r=9");
        if (request.headers.get("Authorization") != "Bearer customer") co_return Identity();
        const Identity customer("usr_1", {"customer"}, "ses_1");
        arrival.identity_token =
            security::issue_internal_token(keys(), customer, base::system_clock().now());
        co_return customer;
    }
    Task<Result<Identity>> admit(const Route&, const Request&, Headers&) override {
        co_return Identity();
    }
    bool tells_faults() const override { return false; }
    void finish(const Request&, Headers& response_headers) override {
        response_headers.set("Vary", "Origin");
    }
    static const security::SigningKeyPair& keys() {
        static const auto pair = security::SigningKeyPair::generate();
        return pair;
    }
};

/// Streams what is not long.
inline peers::LaneOptions small_lane() {
    peers::LaneOptions lane;
    lane.whole_bytes = 64 * kib;
    return lane;
}

/// A gateway with two modules elsewhere: "order" at /api/orders..., "product" at /api/products.
/// .../pay keeps keys; .../notes takes bodies of the usual length only.
class GatewayServer {
public:
    explicit GatewayServer(
        const std::string& orders,
        const std::string& products = "",
        milliseconds deadline = milliseconds(5'000),
        peers::LaneOptions lane = small_lane()
    )
        : lane_(lane), metrics_(observe::make_metrics()), resolver_(peers::make_system_resolver()) {
        auto& order = pool("order", orders);
        Routes routes;
        const auto add = [&](Method method, const char* pattern, peers::Pool& pool) {
            Route theirs(method, pattern, Access::everyone(), "", nullptr);
            theirs.deadline = deadline;
            theirs.max_body_bytes = 512 * kib * kib;
            routes.push_back(gateway::forwarded(std::move(theirs), pool, base::system_clock()));
        };
        for (const Method method : {Method::get, Method::post, Method::put})
            add(method, "/api/orders/{id}", order);
        Route by_key(Method::post, "/api/orders/{id}/pay", Access::everyone(), "", nullptr);
        by_key.requires_key = true;
        by_key.max_body_bytes = 512 * kib * kib;
        routes.push_back(gateway::forwarded(std::move(by_key), order, base::system_clock()));
        Route usual(Method::post, "/api/orders/{id}/notes", Access::everyone(), "", nullptr);
        routes.push_back(gateway::forwarded(std::move(usual), order, base::system_clock()));
        if (!products.empty()) add(Method::get, "/api/products", pool("product", products));
        router_.add("all", std::move(routes));
        ServerOptions options;
        options.access_log = false;
        options.internal = true;  // Souk-* of a client get as far as the handler
        options.limits.write_timeout = milliseconds(1'000);
        server_ = make_server(
            std::move(options), {loop_.executor()}, router_, &edge_, base::system_clock(), *metrics_
        );
        REQUIRE(server_->listen().has_value());
    }
    ~GatewayServer() {
        run_void(server_->stop(Deadline(base::system_clock(), seconds(2))));
        for (auto& pool : pools_)
            run_void(pool->stop());
        loop_.end();
    }
    std::uint16_t port() const { return server_->port(); }

    std::string send(std::string_view request, bool head_only = false) const {
        Wire wire(port());
        wire.send(request);
        return wire.response(head_only);
    }
    std::string get(std::string_view path, std::string_view fields = "") const {
        return send(fmt::format("GET {} HTTP/1.1\r\nHost: shop\r\n{}\r\n", path, fields));
    }
    std::string post(
        std::string_view fields, std::string_view body, std::string_view path = "/api/orders/1"
    ) const {
        return send(fmt::format(
            "POST {} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n{}\r\n{}",
            path,
            body.size(),
            fields,
            body
        ));
    }

private:
    peers::Pool& pool(std::string module, std::string addresses) {
        peers::RemoteOptions options;
        options.module = std::move(module);
        options.addresses = std::move(addresses);
        options.peer_key = key;
        options.lane = lane_;
        auto made = peers::Pool::make(
            std::move(options), {loop_.executor()}, base::system_clock(), *metrics_, *resolver_
        );
        REQUIRE(made.has_value());
        return *pools_.emplace_back(std::move(*made));
    }
    void run_void(Task<void> task) {
        asio::co_spawn(loop_.executor(), std::move(task), asio::use_future).get();
    }

    const peers::LaneOptions lane_;
    std::unique_ptr<Metrics> metrics_;
    std::unique_ptr<peers::Resolver> resolver_;
    Loop loop_;
    std::vector<std::unique_ptr<peers::Pool>> pools_;
    Router router_;
    PublicEdge edge_;
    std::unique_ptr<Server> server_;
};

/// Answers each request the same, and keeps the last head and body.
class Answering {
public:
    explicit Answering(std::string answer, std::size_t body = 0)
        : upstream_([this, answer = std::move(answer), body](Talk& talk) {
            for (;;) {
                auto head = talk.head();
                if (head.empty()) return;
                auto text = talk.body(body);
                {
                    std::lock_guard lock(mutex_);
                    head_ = head;
                    body_ = text;
                }
                ++requests;
                if (!talk.say(answer)) return;
            }
        }) {}
    std::string url() const { return upstream_.url(); }
    std::string head() {
        std::lock_guard lock(mutex_);
        return head_;
    }
    std::string body() {
        std::lock_guard lock(mutex_);
        return body_;
    }
    /// A field as it came; empty when it did not.
    std::string field(std::string_view name) { return field_of("HTTP/1.1 \r\n" + head(), name); }
    int connections() const { return upstream_.connections; }
    std::atomic<int> requests = 0;

private:
    std::mutex mutex_;
    std::string head_;
    std::string body_;
    Upstream upstream_;  // last: its threads use the rest
};

inline std::string dead_url() {
    Upstream gone([](Talk&) {});
    return gone.url();
}

/// The public's view of a module that is away.
inline void check_away(const std::string& response, int status = 503) {
    CHECK(status_of(response) == status);
    CHECK(field_of(response, "Content-Type") == "application/problem+json");
    const auto body = body_of(response);
    const bool away = status == 503;
    CHECK(
        body.find(away ? R"("code":"module_unavailable")" : R"("code":"timeout")") !=
        std::string::npos
    );
    CHECK(body.find("The order module") != std::string::npos);
    CHECK(body.find("127.0.0.1") == std::string::npos);
    if (away) CHECK(field_of(response, "Retry-After") == "1");
}

}  // namespace souk::gateway::test
