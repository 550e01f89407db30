// The host with modules made for the test.
#include "host/host.hpp"

#include "base/system_clock.hpp"
#include "host/control.hpp"
#include "observe/prometheus_metrics.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using host::Host;

namespace {

std::vector<std::string> diary;  // what the modules did, in order

struct EchoApi {
    static constexpr std::string_view module_name = "low";
    int asked = 0;
};

http::Route route(std::string pattern) {
    return http::Route(
        http::Method::get,
        std::move(pattern),
        http::Access::signed_in(),
        "",
        [](const CallContext& ctx, const http::Request&) -> Task<Result<http::Response>> {
            co_return http::Response(200, "text/plain", ctx.identity.subject);
        }
    );
}

class Low : public Module {
public:
    explicit Low(ModuleDeps deps) { deps.peers.provide(api_); }
    http::Routes routes() override { return {route("/api/low")}; }
    http::Routes internal_routes() override { return {route("/internal/low/books")}; }
    Task<Result<void>> start() override {
        diary.emplace_back("start low");
        co_return Result<void>();
    }
    Task<void> stop(Deadline) override {
        diary.emplace_back("stop low");
        co_return;
    }

private:
    EchoApi api_;
};

class High : public Module {
public:
    explicit High(ModuleDeps deps) : peers_(deps.peers) {}
    Task<Result<void>> start() override {
        ++peers_.get<EchoApi>().asked;
        diary.emplace_back("start high");
        co_return Result<void>();
    }
    Task<void> stop(Deadline) override {
        diary.emplace_back("stop high");
        co_return;
    }

private:
    Peers& peers_;
};

class Prying : public Module {
public:
    explicit Prying(ModuleDeps deps) : peers_(deps.peers) {}
    Task<Result<void>> start() override {
        peers_.get<EchoApi>();  // is there, but not declared
        co_return Result<void>();
    }

private:
    Peers& peers_;
};

class Muddled : public Module {
public:
    explicit Muddled(ModuleDeps) {}
    http::Routes routes() override { return {route("/api/low"), route("/elsewhere")}; }
    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> out;
        out.emplace_back("low.done", [](Transaction&, const Event&) -> Task<Result<void>> {
            co_return Result<void>();
        });
        return out;
    }
};

template <class M>
ModuleInfo info(std::string_view name, std::vector<std::string_view> calls = {}) {
    ModuleInfo out{};
    out.name = name;
    out.calls = std::move(calls);
    out.create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
        return std::make_unique<M>(std::move(deps));
    };
    return out;
}

const ModuleInfo low = info<Low>("low");
const ModuleInfo high = info<High>("high", {"low"});
const ModuleInfo prying = info<Prying>("prying");
const ModuleInfo muddled = info<Muddled>("muddled");

/// A host in a folder of its own, without the gateway, on the test's own thread.
class World {
public:
    explicit World(std::vector<const ModuleInfo*> available) : metrics_(observe::make_metrics()) {
        diary.clear();
        host::ConfigInput input;
        input.flags.emplace_back("--data", "data.dir=" + (folder_.path() / "shop").string());
        input.flags.emplace_back("--port", "http.port=0");
        input.flags.emplace_back("--port", "metrics.port=0");
        config_ = host::Config::load(input).value();
        for (const ModuleInfo* one : available)
            options_.wanted.emplace_back(one->name);
        options_.available = std::move(available);
        options_.threads = {context.get_executor()};
    }

    std::unique_ptr<Host> host() {
        return std::make_unique<Host>(config_, options_, base::system_clock(), *metrics_);
    }

    asio::io_context context{1};

private:
    test::TempFolder folder_;
    std::unique_ptr<Metrics> metrics_;
    host::Config config_;
    host::HostOptions options_;
};

Task<Result<void>> open_then_stop(Host& host) {
    auto opened = co_await host.open();
    co_await host.stop();
    co_return opened;
}

Task<http::Response> ask(Host& host, std::string target) {
    const auto client = host::ControlClient::on(host);
    auto response = co_await client->send(http::Method::get, std::move(target));
    co_return response.value();
}

Task<void> ask_as_operator(Host& host) {
    auto opened = co_await host.open();
    REQUIRE(opened);
    const auto open = co_await ask(host, "/api/low?x=1");
    CHECK(open.status == 200);
    CHECK(open.body == "system");
    const auto internal = co_await ask(host, "/internal/low/books");
    CHECK(internal.status == 200);
    const auto absent = co_await ask(host, "/internal/low/absent");
    CHECK(absent.status == 404);
    CHECK(absent.content_type == "application/problem+json");
    const auto unready = co_await ask(host, "/health/ready");
    CHECK(unready.status == 503);  // nothing listens
    const auto live = co_await ask(host, "/health/live");
    CHECK(live.status == 200);
    co_await host.stop();
}

}  // namespace

TEST_CASE("modules start in the order of their calls and stop in reverse") {
    World world({&high, &low});
    const auto host = world.host();
    REQUIRE(test::run_task(world.context, open_then_stop(*host)));
    CHECK(diary == std::vector<std::string>{"start low", "start high", "stop high", "stop low"});
}

TEST_CASE("a peer that is not declared is a start-up error, although it is loaded") {
    World world({&low, &prying});
    const auto host = world.host();
    const auto opened = test::run_task(world.context, open_then_stop(*host));
    REQUIRE_FALSE(opened);
    CHECK_THAT(opened.error().detail, Catch::Contains("prying") && Catch::Contains("low"));
}

TEST_CASE("modules that do not fit together are told in one list") {
    World world({&low, &muddled});
    const auto host = world.host();
    const auto opened = test::run_task(world.context, open_then_stop(*host));
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == "modules");
    CHECK(opened.error().fields.size() == 3);
    const std::string& words = opened.error().detail;
    CHECK_THAT(words, Catch::Contains("/api/low"));
    CHECK_THAT(words, Catch::Contains("GET /elsewhere must begin with /api/"));
    CHECK_THAT(words, Catch::Contains("subscribes to 'low.done'"));
    CHECK(diary.empty());
}

TEST_CASE("the operator reaches public and internal routes without a listener") {
    World world({&low});
    const auto host = world.host();
    test::run_task(world.context, ask_as_operator(*host));
}

TEST_CASE("a second host on the same folder is refused") {
    World world({&low});
    const auto first = world.host();
    const auto migrated = test::run_task(world.context, first->migrate());
    REQUIRE(migrated);
    const auto second = world.host();
    const auto refused = test::run_task(world.context, second->migrate());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "data_locked");
}
