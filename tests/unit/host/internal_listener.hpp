// A process of a split shop as commands see it: the internal listener of one or more modules, on
// a real socket and with the real edge, over routes that tell who came.
#pragma once

#include "base/system_clock.hpp"
#include "host/config.hpp"
#include "http/server.hpp"
#include "observe/prometheus_metrics.hpp"
#include "peers/peer_edge.hpp"
#include "security/tokens.hpp"
#include "support/temp_folder.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace souk::host::test {

/// The files of `souk dev-certs` for user, order, payment and the operator, beside a shared key.
class Secrets {
public:
    Secrets();
    std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
    http::TlsFiles tls(const std::string& role) const;
    std::string shared_key() const;

private:
    souk::test::TempFolder folder_;
};

class InternalListener {
public:
    /// Over TLS, as the first of `modules`.
    InternalListener(const Secrets& secrets, std::vector<std::string> modules);
    /// Plain, with the shared key.
    InternalListener(std::string shared_key, std::vector<std::string> modules);
    ~InternalListener();
    InternalListener(const InternalListener&) = delete;

    std::string address() const;
    /// What the routes of dead letters tell: consumer and event.
    std::vector<std::pair<std::string, std::string>> letters;
    /// "GET /internal/order/audit" and the body, in the order in which they came.
    std::vector<std::string> asked() const;

private:
    InternalListener(http::ServerOptions options, peers::PeerCredential credential, std::vector<std::string>);
    http::Route route(http::Method method, std::string pattern, http::Access access);
    http::Response answer(const CallContext& ctx, const http::Request& request);

    mutable std::mutex mutex_;
    std::vector<std::string> asked_;
    peers::PeerEdge edge_;
    std::unique_ptr<Metrics> metrics_ = observe::make_metrics();
    http::Router router_;
    asio::io_context context_{1};
    asio::executor_work_guard<Executor> guard_{context_.get_executor()};
    std::unique_ptr<http::Server> server_;
    const bool secure_;
    std::thread thread_;  // last: it runs the context
};

/// The defaults and `flags`. Throws on a fault.
Config config_of(const std::vector<std::string>& flags);
/// What the configuration of `role` says of its certificate.
std::vector<std::string> credential_flags(const Secrets& secrets, const std::string& role);

}  // namespace souk::host::test
