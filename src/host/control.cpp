#include "host/control.hpp"

#include "host/control_peers.hpp"
#include "host/data_folder.hpp"
#include "host/host.hpp"
#include "http/client.hpp"
#include "http/gate.hpp"
#include "souk/id.hpp"

#include <fmt/format.h>

#include <utility>

namespace souk::host {
namespace {

constexpr seconds patience{120};  // an import of a whole catalogue is one request

class RemoteClient final : public ControlClient {
public:
    RemoteClient(Executor executor, http::ClientTarget target, Clock& clock)
        : client_(executor, std::move(target)), clock_(clock) {}

    Task<Result<http::Response>> send(
        http::Method method, std::string target, std::string body, http::Headers headers
    ) override {
        complete_request(method, body, headers);
        const Deadline deadline(clock_, patience);
        co_return co_await client_.send(
            method, std::move(target), std::move(headers), std::move(body), clock_, deadline
        );
    }
    bool in_process() const override { return false; }
    Task<void> close() override { co_return; }

private:
    http::Client client_;
    Clock& clock_;
};

class LocalClient final : public ControlClient {
public:
    explicit LocalClient(Host& host) : host_(host) {}
    explicit LocalClient(std::unique_ptr<Host> owned) : owned_(std::move(owned)), host_(*owned_) {}

    Task<Result<http::Response>> send(
        http::Method method, std::string target, std::string body, http::Headers headers
    ) override {
        complete_request(method, body, headers);
        http::Request request;
        const std::size_t mark = std::min(target.find('?'), target.size());
        auto path = http::percent_decode(std::string_view(target).substr(0, mark));
        if (!path) co_return path.error();
        request.method = method;
        request.path = std::move(*path);
        if (mark < target.size()) request.query = target.substr(mark + 1);
        request.target = std::move(target);
        request.headers = std::move(headers);
        request.body = std::move(body);
        co_return co_await host_.dispatch_internal(std::move(request));
    }
    bool in_process() const override { return true; }
    Task<void> close() override {
        if (owned_) co_await owned_->stop();
    }

private:
    std::unique_ptr<Host> owned_;  // empty: somebody else's
    Host& host_;
};

/// Whoever has the folder must also answer: it may be a server that is still starting, or another
/// command.
Task<Result<std::unique_ptr<ControlClient>>> connect(
    Executor executor, const std::string& dir, Error locked, Clock& clock
) {
    auto socket = control_socket(dir);
    if (!socket) co_return socket.error();
    http::ClientTarget target;
    target.unix_socket = std::move(*socket);
    std::unique_ptr<ControlClient> client =
        std::make_unique<RemoteClient>(executor, std::move(target), clock);
    auto alive =
        co_await client->send(http::Method::get, "/health/live", std::string(), http::Headers());
    if (!alive)
        co_return unavailable(
            "connect",
            fmt::format(
                "{}; its control socket does not answer: {}", locked.detail, alive.error().detail
            )
        );
    co_return client;
}

}  // namespace

void complete_request(http::Method method, const std::string& body, http::Headers& headers) {
    if (!body.empty() && !headers.has("Content-Type"))
        headers.set("Content-Type", "application/json");
    if (method == http::Method::post && !headers.has("Idempotency-Key"))
        headers.set("Idempotency-Key", random_token(16));
}

std::unique_ptr<ControlClient> ControlClient::on(Host& host) {
    return std::make_unique<LocalClient>(host);
}

Task<Result<std::unique_ptr<ControlClient>>> ControlClient::open(
    Executor executor,
    Config config,
    std::vector<const ModuleInfo*> available,
    Clock& clock,
    Metrics& metrics
) {
    if (has_peers(config, available))
        co_return connect_peers(executor, config, std::move(available), clock);
    const std::string dir = config.text("data.dir");
    HostOptions options;
    options.available = std::move(available);
    options.threads.push_back(executor);
    auto host = std::make_unique<Host>(std::move(config), std::move(options), clock, metrics);
    auto opened = co_await host->open();
    if (opened) {
        std::unique_ptr<ControlClient> client = std::make_unique<LocalClient>(std::move(host));
        co_return client;
    }
    Error error = opened.error();
    co_await host->stop();
    if (error.code != "data_locked") co_return error;
    co_return co_await connect(executor, dir, std::move(error), clock);
}

}  // namespace souk::host
