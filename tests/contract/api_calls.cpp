// What every call of an Api promises, whatever the module, however it is reached (api_world.hpp):
// errors and who calls arrive, a caller that goes away harms nobody, and each method is tried.
#include "contract/api_world.hpp"
#include "host/registry.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace souk::user::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::product::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::order::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::payment::client {
http::Routes serve(Api& api, http::Routes routes);
}

using namespace souk;
using namespace souk::test;

namespace {

/// Answers what the test says, and remembers who asked.
class Probe final : public product::Api {
public:
    using Reserved = std::vector<product::ReservedProduct>;

    Task<Result<Reserved>> reserve(CallContext ctx, std::string, std::vector<product::ReserveLine>)
        override {
        seen.push_back(std::move(ctx));
        if (broken) throw std::runtime_error("a secret of the Api's own");
        if (error) co_return *error;
        co_return Reserved();
    }
    Task<Result<void>> release(CallContext ctx, std::string order_id) override {
        seen.push_back(std::move(ctx));
        const Held here(*this);
        while (hold && order_id == "held")
            if (!co_await base::system_clock().sleep(milliseconds(1))) break;
        if (error) co_return *error;
        co_return Result<void>();
    }

    std::vector<CallContext> seen;
    std::optional<Error> error;
    bool broken = false;
    bool hold = false;
    int held = 0;

private:
    struct Held {
        explicit Held(Probe& probe) : probe(probe) { ++probe.held; }
        ~Held() { --probe.held; }
        Held(const Held&) = delete;
        Probe& probe;
    };
};

struct ProbeWorld : Shop {
    explicit ProbeWorld(const Runner& runner)
        : api_(runner.reach(*this, Served("product", &here_, routes, product::module().connect))) {}

    CallContext ctx() { return CallContext(Deadline(clock, seconds(5))); }
    Result<Probe::Reserved> reserve(CallContext ctx) {
        return run(api().reserve(std::move(ctx), "ord_1", {}));
    }
    Result<void> release(CallContext ctx, std::string id = "ord_1") {
        return run(api().release(std::move(ctx), std::move(id)));
    }
    product::Api& api() { return *static_cast<product::Api*>(api_.get()); }

    Probe probe;
    const http::Routes routes = product::client::serve(probe, {});

private:
    product::Api& here_ = probe;
    std::shared_ptr<void> api_;
};

Runner each_runner_with_tls() {
    return GENERATE(from_range(runners_with_tls().begin(), runners_with_tls().end()));
}

bool is_remote(const Runner& runner) {
    return runner.name.starts_with("HTTP");
}

class Nowhere final : public Remote {
public:
    Task<Result<json::value>> call(std::string_view, json::value, const CallContext&) override {
        co_return unavailable("nowhere", "nobody is called");
    }
};

/// The methods that the Api's description (client/client.cpp) lists, "order::Api::get_many".
template <class Api>
std::vector<std::string> methods_of(
    const ModuleInfo& info, http::Routes (*serve)(Api&, http::Routes)
) {
    Nowhere nowhere;
    const auto client = info.connect(nowhere);
    std::vector<std::string> names;
    for (const http::Route& route : serve(*static_cast<Api*>(client.get()), {})) {
        const auto name = route.pattern.substr(route.pattern.rfind('/') + 1);
        names.push_back(fmt::format("{}::Api::{}", info.name, name));
    }
    return names;
}

/// All that tests the Apis' methods, as one text.
std::string suites() {
    std::stringstream text;
    const std::filesystem::path folder = std::filesystem::path(SOUK_SOURCE_DIR) / "tests/contract";
    for (const char* file : {"api_contract.cpp", "api_contract_orders.cpp", "api_world.hpp"})
        text << std::ifstream(folder / file).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("api: each method has a case that every runner tries") {
    std::vector<std::vector<std::string>> apis;
    apis.push_back(methods_of(user::module(), &user::client::serve));
    apis.push_back(methods_of(product::module(), &product::client::serve));
    apis.push_back(methods_of(order::module(), &order::client::serve));
    apis.push_back(methods_of(payment::module(), &payment::client::serve));
    const auto reachable = std::count_if(modules().begin(), modules().end(), [](const auto* info) {
        return info->connect != nullptr;
    });
    CHECK(apis.size() == static_cast<std::size_t>(reachable));  // a new one needs a line above
    const std::string text = suites();
    for (const auto& methods : apis) {
        CHECK_FALSE(methods.empty());
        for (const std::string& method : methods) {
            CAPTURE(method);
            CHECK(text.find("ask(&" + method) != std::string::npos);
        }
    }
}

TEST_CASE("api: errors of every kind arrive as they were made") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    ProbeWorld world(runner);
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::request_timeout); ++kind) {
        CAPTURE(kind);
        std::vector<FieldError> fields;
        fields.emplace_back("/items/0/a~1b", "too_many", odd_name);
        fields.emplace_back("", "", "");
        Error error(static_cast<ErrorKind>(kind), fmt::format("code_{}", kind), odd_name);
        world.probe.error =
            std::move(error).with_fields(std::move(fields)).with_retry_after(kind * 7);
        CHECK(told(world.reserve(world.ctx())) == told(*world.probe.error));
        CHECK(told(world.release(world.ctx())) == told(*world.probe.error));
        world.probe.error->fields.clear();
        CHECK(told(world.reserve(world.ctx())) == told(*world.probe.error));
    }
    // A 503 or 504 of the Api's own is its answer, not the connection's fault: one call each.
    CHECK(world.probe.seen.size() == 3 * 18);
    world.probe.error.reset();
    CHECK(world.reserve(world.ctx()));
}

TEST_CASE("api: what breaks in another process is told, but not what it is") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    if (!is_remote(runner)) return;  // here it is an exception, as in any call
    ProbeWorld world(runner);
    world.probe.broken = true;
    CHECK(fault(world.reserve(world.ctx())) == "500 internal");
    CHECK(world.reserve(world.ctx()).error().detail.find("secret") == std::string::npos);
    world.probe.broken = false;
    CHECK(world.reserve(world.ctx()));
}

TEST_CASE("api: who calls, for which request, in which trace and until when, arrives") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    ProbeWorld world(runner);
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const Identity caller("usr_7", {"staff", "importer"}, "ses_7");
    CallContext ctx(caller, Deadline(world.clock, milliseconds(1'500)), "req_seven", trace);
    ctx.identity_token = identity_token(caller, world.clock.now());
    REQUIRE(world.reserve(ctx));
    const CallContext& seen = world.probe.seen.back();
    CHECK(seen.identity.subject == "usr_7");
    CHECK(seen.identity.roles == caller.roles);
    CHECK(seen.identity.session == "ses_7");
    CHECK(seen.identity_token == ctx.identity_token);  // for the next hop
    CHECK(seen.request_id == "req_seven");
    REQUIRE(seen.traceparent.size() == trace.size());
    CHECK(seen.traceparent.substr(0, 36) == trace.substr(0, 36));
    CHECK((seen.traceparent == trace) == !is_remote(runner));  // a span of its own
    CHECK(seen.deadline.at() <= ctx.deadline.at());
    CHECK(seen.deadline.remaining(world.clock) > milliseconds(1'400));

    REQUIRE(world.reserve(world.ctx()));
    const Identity nobody = world.probe.seen.back().identity;
    CHECK(nobody.subject == (is_remote(runner) ? "system" : ""));
    CHECK_FALSE(nobody.may("orders:import"));
}

TEST_CASE("api: another's word for who calls is none") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    if (!is_remote(runner)) return;
    ProbeWorld world(runner);
    const Identity caller("usr_7", {"admin"}, "ses_7");
    CallContext ctx = world.ctx();
    ctx.identity = caller;
    ctx.identity_token = identity_token(caller, world.clock.now() - seconds(31));
    CHECK(fault(world.reserve(ctx)) == "503 peer_unavailable");
    CHECK(world.probe.seen.empty());
    ctx.identity_token.clear();  // what a caller says of itself does not travel at all
    REQUIRE(world.reserve(ctx));
    CHECK(world.probe.seen.back().identity.subject == "system");
}

TEST_CASE("api: a call whose time is over is a timeout and does not run") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    if (!is_remote(runner)) return;  // here the module decides: see each Api's own case
    ProbeWorld world(runner);
    for (const auto left : {microseconds(-1'000'000), microseconds(0), microseconds(9'000)})
        CHECK(fault(world.reserve(CallContext(Deadline(world.clock, left)))) == "504 timeout");
    CHECK(world.probe.seen.empty());
}

namespace {

/// Calls that are under way at the Api, and then nobody waits for them any more.
void abandon(ProbeWorld& world, int callers) {
    world.probe.hold = true;
    const int before = world.probe.held;
    std::vector<asio::cancellation_signal> cancel(static_cast<std::size_t>(callers));
    int ended = 0;
    for (auto& signal : cancel) {
        auto call = world.api().release(world.ctx(), "held");
        auto on_end = [&](std::exception_ptr, Result<void>) { ++ended; };
        asio::co_spawn(
            world.context,
            std::move(call),
            asio::bind_cancellation_slot(signal.slot(), std::move(on_end))
        );
    }
    world.until([&] { return world.probe.held == before + callers; });
    for (auto& signal : cancel)
        signal.emit(asio::cancellation_type::terminal);
    world.until([&] { return ended == callers; });
}

}  // namespace

TEST_CASE("api: a caller that goes away leaves the called sound") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    ProbeWorld world(runner);
    abandon(world, 5);
    // While the called still works for nobody, others are served.
    CHECK(world.reserve(world.ctx()));
    CHECK(world.release(world.ctx()));
    world.probe.hold = false;
    world.until([&] { return world.probe.held == 0; });
    world.probe.error = conflict("mine", "the answer to this call and to no other");
    for (int i = 0; i < 20; ++i)
        CHECK(fault(world.release(world.ctx())) == "409 mine");
}

TEST_CASE("api: callers that go away are not held against the called") {
    const Runner runner = each_runner_with_tls();
    CAPTURE(runner.name);
    ProbeWorld world(runner);
    // More than the failures that open a breaker, fewer at once than connections to one endpoint.
    for (int i = 0; i < 3; ++i)
        abandon(world, 50);
    CHECK(world.reserve(world.ctx()));
    world.probe.hold = false;
    world.until([&] { return world.probe.held == 0; });
    CHECK(world.reserve(world.ctx()));
}
