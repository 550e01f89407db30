// The ways to an Api (api_world.hpp): the object itself; its internal routes, as text there and
// back, of the same and of a later version; and the internal listener, over real sockets, as souk's
// processes call each other. Server and client share the test's only thread.
#include "contract/api_world.hpp"
#include "http/server.hpp"
#include "http/tls.hpp"
#include "observe/prometheus_metrics.hpp"
#include "peers/http_remote.hpp"
#include "peers/peer_edge.hpp"
#include "security/dev_ca.hpp"
#include "security/tokens.hpp"

#include <algorithm>

namespace souk::test {

namespace {

using Rewrite = void (*)(json::value&);

void as_it_is(json::value&) {}

/// What a later version of the other side might say: more.
void with_unknown_members(json::value& v) {
    if (auto* list = v.if_array())
        for (json::value& element : *list)
            with_unknown_members(element);
    if (auto* object = v.if_object()) {
        for (auto& member : *object)
            with_unknown_members(member.value());
        (*object)["of_tomorrow"] = json::array{nullptr, "x", json::object()};
    }
}

/// To routes in this process.
class TextRemote final : public Remote {
public:
    TextRemote(const Served& served, Rewrite rewrite)
        : routes_(served.routes)
        , prefix_(fmt::format("/internal/{}/api/", served.module))
        , rewrite_(rewrite) {}

    Task<Result<json::value>> call(
        std::string_view method, json::value arguments, const CallContext& ctx
    ) override {
        rewrite_(arguments);
        http::Request request;
        request.method = http::Method::post;
        request.path = prefix_ + std::string(method);
        request.headers.add("Content-Type", "application/json");
        request.body = json::serialize(arguments);
        auto result = co_await find(request.path).handler(ctx, request);
        http::Response sent;
        if (result)
            sent = std::move(*result);
        else
            sent = http::Response::problem(result.error(), "req_1");
        http::Response received(sent.status, std::move(sent.content_type), std::move(sent.body));
        for (const auto& [name, value] : sent.headers)
            received.headers.add(name, value);
        if (auto error = wire::error_in(received)) co_return std::move(*error);
        auto answer = json::parse(received.body);
        if (answer) rewrite_(*answer);
        co_return answer;
    }

private:
    const http::Route& find(std::string_view path) const {
        const auto found = std::find_if(routes_.begin(), routes_.end(), [&](const auto& route) {
            return route.method == http::Method::post && route.pattern == path;
        });
        if (found == routes_.end()) throw std::logic_error("no route " + std::string(path));
        return *found;
    }
    const http::Routes& routes_;
    std::string prefix_;
    Rewrite rewrite_;
};

std::shared_ptr<void> reach_local(Shop&, const Served& served) {
    return std::shared_ptr<void>(std::shared_ptr<void>(), served.api);
}

template <Rewrite rewrite>
std::shared_ptr<void> reach_through_json(Shop&, const Served& served) {
    struct Both {
        explicit Both(const Served& served)
            : remote(served, rewrite), api(served.connect(remote)) {}
        TextRemote remote;
        std::shared_ptr<void> api;
    };
    auto both = std::make_shared<Both>(served);
    return std::shared_ptr<void>(both, both->api.get());
}

const std::string peer_key = "the key that all peers of this test share";

const security::SigningKeyPair& gateway_key() {
    static const auto pair = security::SigningKeyPair::generate();
    return pair;
}

/// The certificates of one authority for all tests: a key pair each costs more than the calls.
http::TlsFiles certificate_of(const std::string& role) {
    static const TempFolder folder;
    static const auto made = security::make_dev_certificates(
        folder.path(), {"server", "caller"}, base::system_clock().now()
    );
    REQUIRE(made.has_value());
    http::TlsFiles files;
    files.certificate = folder.path() / (role + ".crt");
    files.key = folder.path() / (role + ".key");
    files.ca = folder.path() / "ca.crt";
    return files;
}

peers::PeerCredential credential(bool tls) {
    if (tls) return peers::PeerCredential::certificate({"caller"});
    return peers::PeerCredential::shared_key(peer_key);
}

/// An internal listener and a remote to it.
class Wire {
public:
    Wire(Shop& shop, const Served& served, bool tls)
        : shop_(shop)
        , clock_(shop.clock)
        , metrics_(observe::make_metrics())
        , edge_(credential(tls), security::InternalVerifier({gateway_key().public_key()}), clock_)
        , resolver_(peers::make_system_resolver()) {
        router_.add(std::string(served.module), served.routes);
        listen(tls);
        connect(served, tls);
    }
    ~Wire() {
        shop_.run(remote_->stop());
        shop_.run(server_->stop(Deadline(clock_, seconds(5))));
    }
    Wire(const Wire&) = delete;
    void* api() const { return api_.get(); }

private:
    void listen(bool tls) {
        http::ServerOptions options;
        options.name = "internal";
        options.access_log = false;
        options.internal = true;
        if (tls) options.tls = certificate_of("server");
        server_ = http::make_server(
            std::move(options), {shop_.context.get_executor()}, router_, &edge_, clock_, *metrics_
        );
        server_->listen().value();
    }
    void connect(const Served& served, bool tls) {
        peers::RemoteOptions options;
        options.module = served.module;
        options.addresses =
            fmt::format("{}://127.0.0.1:{}", tls ? "https" : "http", server_->port());
        if (tls)
            options.tls =
                http::Tls::load(
                    certificate_of("caller"), http::Tls::Side::client, base::system_clock()
                )
                    .value();
        else
            options.peer_key = peer_key;
        auto made = peers::HttpRemote::make(
            std::move(options), {shop_.context.get_executor()}, clock_, *metrics_, *resolver_
        );
        remote_ = std::move(made).value();
        api_ = served.connect(*remote_);
    }

    Shop& shop_;
    DriverClock clock_;  // sockets and connections wait in real time
    std::unique_ptr<Metrics> metrics_;
    peers::PeerEdge edge_;
    http::Router router_;
    std::unique_ptr<http::Server> server_;
    std::unique_ptr<peers::Resolver> resolver_;
    std::unique_ptr<peers::HttpRemote> remote_;
    std::shared_ptr<void> api_;
};

template <bool tls>
std::shared_ptr<void> reach_over_http(Shop& shop, const Served& served) {
    auto wire = std::make_shared<Wire>(shop, served, tls);
    return std::shared_ptr<void>(wire, wire->api());
}

}  // namespace

const std::vector<Runner>& runners() {
    static const std::vector<Runner> all = {
        {"local", &reach_local},
        {"local through JSON", &reach_through_json<&as_it_is>},
        {"through JSON of a later version", &reach_through_json<&with_unknown_members>},
        {"HTTP", &reach_over_http<false>},
    };
    return all;
}

const std::vector<Runner>& runners_with_tls() {
    static const std::vector<Runner> all = [] {
        auto those = runners();
        those.push_back(Runner{"HTTP over TLS", &reach_over_http<true>});
        return those;
    }();
    return all;
}

std::string identity_token(const Identity& caller, Timestamp now) {
    return security::issue_internal_token(gateway_key(), caller, now);
}

}  // namespace souk::test
