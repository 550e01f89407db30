#include "host/host.hpp"

#include "base/signal.hpp"
#include "gateway/gateway.hpp"
#include "host/backends.hpp"
#include "host/credentials.hpp"
#include "host/data_folder.hpp"
#include "host/edges.hpp"
#include "host/event_routes.hpp"
#include "host/health.hpp"
#include "host/plan.hpp"
#include "host/remotes.hpp"
#include "host/storage.hpp"
#include "host/succession.hpp"
#include "host/wiring.hpp"
#include "host/words.hpp"
#include "http/dispatch.hpp"
#include "http/server.hpp"
#include "souk/log.hpp"

#include <fmt/format.h>

#include <atomic>
#include <optional>

namespace souk::host {
namespace {

constexpr std::size_t blocking_threads = 2;
constexpr std::size_t blocking_queue = 256;
constexpr std::uint16_t internal_offset = 10'000;
constexpr std::size_t internal_in_flight = 1'000;
constexpr seconds start_time{30};  // of a successor, until it could serve
constexpr milliseconds look_again{20};
constexpr seconds stop_time{15};  // after the drain wait; orchestrators kill after 30 s

enum class Phase : std::uint8_t { starting, ready, stopping };

std::string_view to_string(Phase phase) {
    switch (phase) {
        case Phase::starting:
            return "starting";
        case Phase::ready:
            return "ready";
        case Phase::stopping:
            return "stopping";
    }
    return {};
}

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> out;
    std::string item;
    for (char c : text + ',') {
        if (c != ',' && c != ' ') item += c;
        if (c == ',' && !item.empty()) out.push_back(std::exchange(item, {}));
    }
    return out;
}

http::Route page(std::string path, std::string summary, http::Handler handler) {
    return http::Route(
               http::Method::get,
               std::move(path),
               http::Access::everyone(),
               std::move(summary),
               std::move(handler)
    )
        .rate(http::RateClass::none);
}

Task<void> stop_and_tell(
    http::Server& server, Deadline deadline, std::shared_ptr<base::Signal> ended
) {
    co_await server.stop(deadline);
    ended->set();
}

}  // namespace

/// In the order in which things may depend on each other: destroyed from the bottom up.
struct Host::State {
    State(Config config, HostOptions options, Clock& clock, Metrics& metrics)
        : config(std::move(config))
        , options(std::move(options))
        , clock(clock)
        , metrics(metrics)
        , main(this->options.threads.front())
        , succession(main, clock) {}

    Task<Result<void>> prepare();
    Task<Result<void>> open_backends();
    Result<void> build();
    void create_modules();
    void add_own_routes();
    Task<Result<void>> start_modules();
    Task<Result<void>> start_edge();
    Listeners listeners() const;
    Task<Result<void>> await_readiness();
    Task<void> stop_servers(Deadline deadline);
    Readiness readiness() const;
    std::uint16_t public_port() const;
    std::uint16_t internal_port() const;
    std::unique_ptr<http::Server> make_server(
        std::string name, const http::Router& router, http::Edge& edge
    );

    Config config;
    HostOptions options;
    Clock& clock;
    Metrics& metrics;
    Executor main;  // background tasks
    Logger log{"host"};
    std::atomic<Phase> phase = Phase::starting;

    std::optional<DataFolder> folder;
    Succession succession;
    Plan plan;
    Credentials credentials;  // empty where all runs here
    std::unique_ptr<Caches> caches;
    std::unique_ptr<BlockingPool> blocking;
    std::vector<Store> stores;
    std::unique_ptr<events::EventBus> bus;
    PeerTable peers;
    Remotes remotes;
    Wiring wiring;
    std::atomic<std::size_t> started = 0;  // modules, in the plan's order
    bool bus_started = false;
    std::unique_ptr<gateway::Gateway> gateway;
    bool gateway_started = false;
    ControlEdge control_edge;
    AnonymousEdge anonymous_edge;
    std::string openapi;
    std::unique_ptr<http::Dispatcher> dispatcher;  // of requests from this process
    std::unique_ptr<http::Server> metrics_server;
    std::unique_ptr<http::Server> control_server;
    std::unique_ptr<http::Server> internal_server;
    std::unique_ptr<http::Server> public_server;
};

Task<Result<void>> Host::State::prepare() {
    const Surroundings around = surroundings(config, options.available);
    auto planned = make_plan(options.available, options.wanted, around);
    if (!planned) co_return planned.error();
    plan = std::move(*planned);
    if (plan.split) {
        auto callers = callers_of(plan, options.available);
        auto loaded = Credentials::load(config, plan, std::move(callers), clock);
        if (!loaded) co_return loaded.error();
        credentials = std::move(*loaded);
    }
    auto locked = Succession::folder(config, options.takeover);
    if (!locked) co_return locked.error();
    folder.emplace(std::move(*locked));
    auto opened =
        co_await open_stores(*folder, config, plan.modules, options.threads, clock, metrics);
    if (!opened) co_return opened.error();
    stores = std::move(*opened);
    co_return Result<void>();
}

Task<Result<void>> Host::State::open_backends() {
    auto opened = co_await open_caches(config, options.threads.back(), clock, metrics);
    if (!opened) co_return opened.error();
    caches = std::move(*opened);
    bus = make_bus(config, options.available, main, clock, metrics);
    co_return Result<void>();
}

void Host::State::create_modules() {
    for (Store& store : stores) {
        const ModuleInfo& info = *store.info;
        ModuleDeps deps{
            main,
            *blocking,
            *store.database,
            *bus,
            caches->cache(),
            caches->limiter(),
            clock,
            Logger(info.name),
            metrics,
            config.section(fmt::format("modules.{}", info.name)),
            wiring.peers_of(info, peers),
            store.folder};
        wiring.create(info, std::move(deps));
    }
}

void Host::State::add_own_routes() {
    wiring.add_host_routes(health_routes([this] { return readiness(); }));
    http::Routes documents;
    documents.push_back(page(
        "/openapi.json",
        "This API as OpenAPI 3.1",
        [this](const CallContext&, const http::Request&) -> Task<Result<http::Response>> {
            co_return http::Response(200, "application/json", openapi);
        }
    ));
    wiring.add_public_routes(std::move(documents));
    http::Routes exposition;
    exposition.push_back(page(
        "/metrics",
        "Prometheus metrics",
        [this](const CallContext&, const http::Request&) -> Task<Result<http::Response>> {
            co_return http::Response(
                200, "text/plain; version=0.0.4; charset=utf-8", metrics.expose()
            );
        }
    ));
    wiring.add_metrics_routes(std::move(exposition));
    wiring.add_operator_routes(event_routes(*bus));
}

Result<void> Host::State::build() {
    blocking = std::make_unique<BlockingPool>("blocking", blocking_threads, blocking_queue);
    auto connected =
        remotes.connect(config, plan.remote, credentials, options.threads, clock, metrics, peers);
    if (!connected) return connected;
    create_modules();
    if (plan.gateway)
        for (const ModuleInfo* info : plan.remote)
            wiring.add_remote_routes(*info, remotes.routes(*info));
    add_own_routes();
    if (auto wired = wiring.finish(peers, plan); !wired) return wired;
    openapi = json::serialize(wiring.public_router.openapi(options.version));
    for (std::size_t i = 0; i < stores.size(); ++i) {
        const std::string name(stores[i].info->name);
        // A relay looks into the outbox all the time: none where nothing is ever written.
        if (!stores[i].info->publishes.empty()) bus->add_publisher(name, *stores[i].database);
        bus->add_consumer(name, *stores[i].database, wiring.take_subscriptions(i));
    }
    dispatcher = std::make_unique<http::Dispatcher>(
        wiring.control_router, &control_edge, clock, metrics, "command", false, internal_in_flight
    );
    return Result<void>();
}

Task<Result<void>> Host::State::start_modules() {
    for (std::size_t i = 0; i < stores.size(); ++i) {
        std::string thrown;
        try {
            ++started;  // also a module whose start fails half way is stopped
            auto result = co_await wiring.module(i).start();
            if (!result)
                thrown = result.error().detail;
            else
                continue;
        } catch (const std::exception& e) {
            thrown = e.what();
        }
        co_return unavailable("start", fmt::format("module {}: {}", stores[i].info->name, thrown));
    }
    co_return Result<void>();
}

Task<Result<void>> Host::State::start_edge() {
    if (!plan.gateway) co_return Result<void>();
    const Peers view(peers, gateway_name, {gateway_calls});
    gateway = gateway::make_gateway(
        main,
        view.get<user::Api>(),
        caches->limiter(),
        clock,
        config.section("gateway"),
        credentials.identity_key
    );
    gateway_started = true;
    co_return co_await gateway->start();
}

Readiness Host::State::readiness() const {
    Readiness out;
    out.phase = to_string(phase.load());
    for (std::size_t i = 0; i < started; ++i) {
        if (std::string fault = stores[i].database->fault(); !fault.empty())
            out.unready.emplace_back(stores[i].info->name, std::move(fault));
        Health health = wiring.module(i).health();
        if (!health.ready) out.unready.emplace_back(stores[i].info->name, std::move(health.detail));
    }
    if (gateway_started)
        if (std::string fault = gateway->unready(); !fault.empty())
            out.unready.emplace_back(gateway_name, std::move(fault));
    if (bus_started)
        if (std::string fault = bus->fault(); !fault.empty())
            out.degraded.emplace_back("events", std::move(fault));
    if (caches)
        if (std::string fault = caches->fault(); !fault.empty())
            out.degraded.emplace_back("cache", std::move(fault));
    return out;
}

std::unique_ptr<http::Server> Host::State::make_server(
    std::string name, const http::Router& router, http::Edge& edge
) {
    http::ServerOptions server;
    std::vector<Executor> threads = {main};
    server.name = std::move(name);
    server.access_log = false;
    if (server.name == "public") {
        server.address = config.text("http.address");
        server.port = public_port();
        server.access_log = config.boolean("http.access_log");
        server.trusted_proxies = split_list(config.text("http.trusted_proxies"));
        threads = options.threads;
    } else if (server.name == "internal") {
        server.address = config.text("internal.address");
        server.port = internal_port();
        server.access_log = config.boolean("http.access_log");
        server.tls = credentials.files;
        server.internal = true;
        threads = options.threads;
    } else if (server.name == "metrics") {
        server.address = config.text("metrics.address");
        server.port = static_cast<std::uint16_t>(config.integer("metrics.port"));
    } else {
        server.unix_socket = folder->path() / "souk.sock";
        server.replace = options.takeover;
    }
    // Only customers and peers are owed patience: scrapers and commands come again.
    if (server.name != "public" && server.name != "internal")
        server.limits.drain_grace = milliseconds(0);
    server.limits.connections = static_cast<std::size_t>(config.integer("http.max_connections"));
    server.limits.connections_per_address =
        static_cast<std::size_t>(config.integer("http.max_connections_per_address"));
    server.limits.header_timeout = config.duration("http.header_timeout");
    server.limits.body_timeout = config.duration("http.body_timeout");
    server.limits.idle_timeout = config.duration("http.idle_timeout");
    return http::make_server(std::move(server), std::move(threads), router, &edge, clock, metrics);
}

std::uint16_t Host::State::public_port() const {
    const ConfigValue& setting = config.values().find("http.port")->second;
    if (setting.origin == "default" && plan.port != 0) return plan.port;
    return static_cast<std::uint16_t>(config.integer("http.port"));
}

std::uint16_t Host::State::internal_port() const {
    const auto own = static_cast<std::uint16_t>(config.integer("internal.port"));
    const std::uint16_t beside = public_port();
    return own != 0 || beside == 0 ? own : static_cast<std::uint16_t>(beside + internal_offset);
}

Listeners Host::State::listeners() const {
    Listeners out;
    out.emplace_back("metrics", metrics_server.get());
    if (internal_server) out.emplace_back("internal", internal_server.get());
    out.emplace_back("public", public_server.get());
    return out;
}

/// A successor that could not serve would be worse than none.
Task<Result<void>> Host::State::await_readiness() {
    const Deadline deadline(clock, start_time);
    for (;;) {
        const Readiness now = readiness();
        if (now.unready.empty()) co_return Result<void>();
        const auto& [who, why] = now.unready.front();
        if (deadline.passed(clock))
            co_return unavailable("not_ready", fmt::format("{}: {}", who, why));
        co_await clock.sleep(look_again);
    }
}

Task<void> Host::State::stop_servers(Deadline deadline) {
    // A successor answers there now.
    if (succession.succeeded()) co_await metrics_server->stop(deadline);
    // At once: customers and peers each have the whole time, and nobody is let in meanwhile.
    std::shared_ptr<base::Signal> internal_ended;
    if (internal_server) {
        internal_ended = base::Signal::make(main);
        spawn(main, [this, deadline, internal_ended] {
            return stop_and_tell(*internal_server, deadline, internal_ended);
        });
    }
    if (public_server) co_await public_server->stop(deadline);
    if (internal_ended) co_await internal_ended->wait();
    if (control_server) co_await control_server->stop(deadline);
}

Host::Host(Config config, HostOptions options, Clock& clock, Metrics& metrics)
    : state_(std::make_unique<State>(std::move(config), std::move(options), clock, metrics)) {}

Host::~Host() = default;

Task<Result<std::vector<Migrated>>> Host::migrate() {
    auto prepared = co_await state_->prepare();
    if (!prepared) co_return prepared.error();
    co_return co_await migrate_stores(state_->stores, state_->clock);
}

Task<Result<void>> Host::open() {
    State& state = *state_;
    if (!state.folder) {
        auto migrated = co_await migrate();
        if (!migrated) co_return migrated.error();
    }
    auto backends = co_await state.open_backends();
    if (!backends) co_return backends;
    if (auto built = state.build(); !built) co_return built;
    auto started = co_await state.start_modules();
    if (!started) co_return started;
    auto bus = co_await state.bus->start();
    if (!bus) co_return bus;
    state.bus_started = true;
    co_return co_await state.start_edge();
}

Task<Result<void>> Host::listen() {
    State& state = *state_;
    if (auto socket = control_socket(state.folder->path()); !socket) co_return socket.error();

    http::Edge* public_edge = state.gateway.get();
    if (public_edge == nullptr) public_edge = &state.anonymous_edge;
    const Wiring& wiring = state.wiring;
    state.metrics_server =
        state.make_server("metrics", wiring.metrics_router, state.anonymous_edge);
    state.control_server = state.make_server("control", wiring.control_router, state.control_edge);
    state.public_server = state.make_server("public", wiring.public_router, *public_edge);
    if (state.credentials.edge)
        state.internal_server =
            state.make_server("internal", wiring.internal_router, *state.credentials.edge);
    if (state.options.takeover) {
        auto ready = co_await state.await_readiness();
        if (!ready) co_return ready;
    }
    auto opened = co_await state.succession.listen(state.listeners(), *state.folder);
    if (!opened) co_return opened;
    state.phase = Phase::ready;
    auto told = co_await state.succession.tell_ready(*state.folder);
    if (!told) co_return told;
    // What stands in the folder is the predecessor's until now.
    auto listening = state.control_server->listen();
    if (!listening) co_return listening;
    auto announced = state.folder->announce(port(), metrics_port());
    if (!announced || !state.options.succeeded || state.config.text("postgres.url").empty())
        co_return announced;
    co_return state.succession.offer(state.listeners(), *state.folder, state.options.succeeded);
}

Task<void> Host::stop() {
    State& state = *state_;
    state.phase = Phase::stopping;
    state.succession.end_offer();
    if (state.public_server && !state.succession.succeeded()) {
        state.folder->withdraw();
        co_await state.clock.sleep(state.config.duration("http.drain_wait"));
    }
    const Deadline deadline(state.clock, stop_time);
    co_await state.stop_servers(deadline);
    if (state.gateway_started) co_await state.gateway->stop();
    if (state.bus_started) co_await state.bus->stop(deadline);
    while (state.started > 0)
        co_await state.wiring.module(--state.started).stop(deadline);
    co_await state.remotes.stop();
    if (state.metrics_server)  // last: until now it tells that we are stopping
        co_await state.metrics_server->stop(deadline);
    // Whoever did not end in time still uses them: then all stays until the process ends.
    if (deadline.passed(state.clock)) co_return;
    // Their connections keep the contexts busy, which the process waits for before this goes.
    state.bus.reset();
    for (Store& store : state.stores)
        store.database.reset();
    state.caches.reset();
}

Task<http::Response> Host::dispatch_internal(http::Request request) {
    State& state = *state_;
    http::Exchange exchange(state.clock.steady());
    exchange.has_body = !request.body.empty();
    exchange.content_length = request.body.size();
    exchange.request = std::move(request);
    auto refused = co_await state.dispatcher->admit(exchange);
    http::Response response;
    if (refused)
        response = std::move(*refused);
    else
        response = co_await state.dispatcher->answer(exchange);
    state.dispatcher->conclude(exchange, response);
    co_return response;
}

std::uint16_t Host::port() const {
    return state_->public_server->port();
}

std::uint16_t Host::metrics_port() const {
    return state_->metrics_server->port();
}

std::uint16_t Host::internal_port() const {
    return state_->internal_server ? state_->internal_server->port() : 0;
}

const Config& Host::config() const {
    return state_->config;
}

}  // namespace souk::host
