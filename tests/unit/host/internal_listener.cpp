#include "internal_listener.hpp"

#include "security/dev_ca.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace souk::host::test {

using http::Access;
using http::Method;

Secrets::Secrets() {
    const auto made = security::make_dev_certificates(
        folder_.path(), {"user", "order", "payment", "operator"}, base::system_clock().now()
    );
    if (!made) throw std::runtime_error(made.error().detail);
}

http::TlsFiles Secrets::tls(const std::string& role) const {
    http::TlsFiles out;
    out.certificate = file(role + ".crt");
    out.key = file(role + ".key");
    out.ca = file("ca.crt");
    return out;
}

std::string Secrets::shared_key() const {
    return peers::load_peer_key(file("peers.key")).value();
}

namespace {

http::ServerOptions options(http::TlsFiles tls) {
    http::ServerOptions out;
    out.name = "internal";
    out.access_log = false;
    out.internal = true;
    out.tls = std::move(tls);
    return out;
}

}  // namespace

InternalListener::InternalListener(const Secrets& secrets, std::vector<std::string> modules)
    : InternalListener(
          options(secrets.tls(modules.front())),
          peers::PeerCredential::certificate({"gateway", "operator", "order"}),
          modules
      ) {}

InternalListener::InternalListener(std::string shared_key, std::vector<std::string> modules)
    : InternalListener(
          options({}), peers::PeerCredential::shared_key(std::move(shared_key)), std::move(modules)
      ) {}

InternalListener::InternalListener(
    http::ServerOptions options, peers::PeerCredential credential, std::vector<std::string> modules
)
    : edge_(
          std::move(credential),
          security::InternalVerifier({security::SigningKeyPair::generate().public_key()}),
          base::system_clock()
      )
    , secure_(!options.tls.empty()) {
    http::Routes routes;
    for (const std::string& module : modules) {
        routes.push_back(
            route(Method::get, fmt::format("/internal/{}/audit", module), Access::everyone())
        );
        routes.push_back(route(
            Method::post, fmt::format("/api/{}s", module), Access::permission("anything:write")
        ));
    }
    routes.push_back(route(Method::get, "/internal/events/dead", Access::everyone()));
    routes.push_back(route(Method::post, "/internal/events/dead/replay", Access::everyone()));
    router_.add("test", std::move(routes));
    server_ = http::make_server(
        std::move(options),
        {context_.get_executor()},
        router_,
        &edge_,
        base::system_clock(),
        *metrics_
    );
    const auto listening = server_->listen();
    if (!listening) throw std::runtime_error(listening.error().detail);
    thread_ = std::thread([this] { context_.run(); });
}

InternalListener::~InternalListener() {
    guard_.reset();
    context_.stop();
    thread_.join();
}

std::string InternalListener::address() const {
    return fmt::format("{}://127.0.0.1:{}", secure_ ? "https" : "http", server_->port());
}

std::vector<std::string> InternalListener::asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
}

http::Route InternalListener::route(Method method, std::string pattern, Access access) {
    return http::Route(
        method,
        std::move(pattern),
        access,
        "For the test",
        [this](
            const CallContext& ctx, const http::Request& request
        ) -> Task<Result<http::Response>> { co_return answer(ctx, request); }
    );
}

http::Response InternalListener::answer(const CallContext& ctx, const http::Request& request) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(fmt::format(
        "{} {}{}{}",
        ctx.identity.subject,
        request.path,
        request.body.empty() ? "" : " ",
        request.body
    ));
    json::array data;
    for (const auto& [consumer, event] : letters) {
        json::object letter;
        letter["consumer"] = consumer;
        letter["event"] = json::object{{"id", event}};
        data.push_back(std::move(letter));
    }
    json::object body;
    body["data"] = std::move(data);
    return http::Response::json(body);
}

Config config_of(const std::vector<std::string>& flags) {
    ConfigInput input;
    for (const std::string& flag : flags)
        input.flags.emplace_back("--set", flag);
    auto config = Config::load(input);
    if (!config) throw std::runtime_error(config.error().detail);
    return std::move(*config);
}

std::vector<std::string> credential_flags(const Secrets& secrets, const std::string& role) {
    return {
        "internal.certificate_file=" + secrets.file(role + ".crt"),
        "internal.key_file=" + secrets.file(role + ".key"),
        "internal.ca_file=" + secrets.file("ca.crt")};
}

}  // namespace souk::host::test
