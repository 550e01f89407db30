#include "host/plan.hpp"

#include "support/result_text.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using host::Surroundings;

namespace {

/// Nothing but the embedded parts.
Result<host::Plan> make_plan(
    const std::vector<const ModuleInfo*>& available, const std::vector<std::string>& wanted
) {
    return host::make_plan(available, wanted, Surroundings());
}

/// All that a part of the shop needs, with the addresses of `peers`.
Surroundings servers(std::set<std::string, std::less<>> peers) {
    Surroundings out;
    out.peers = std::move(peers);
    out.servers = out.shared_cache = out.credential = true;
    out.identity_key = out.identity_public = true;
    return out;
}

ModuleInfo info(
    std::string_view name,
    std::vector<std::string_view> calls,
    std::vector<std::string_view> publishes = {},
    std::vector<std::string_view> listens = {},
    std::uint16_t port = 0
) {
    ModuleInfo out{};
    out.name = name;
    out.calls = std::move(calls);
    out.publishes = std::move(publishes);
    out.listens = std::move(listens);
    out.port = port;
    return out;
}

/// A shop like ours, registered in an order that is not the one to start in.
struct Shop {
    ModuleInfo order =
        info("order", {"product", "payment"}, {"order.placed"}, {"payment.captured"}, 3003);
    ModuleInfo payment = info("payment", {}, {"payment.captured"}, {"order.placed"});
    ModuleInfo product = info("product", {});
    ModuleInfo user = info("user", {});
    std::vector<const ModuleInfo*> all = {&order, &payment, &product, &user};
};

std::vector<std::string_view> names(const host::Plan& plan) {
    std::vector<std::string_view> out;
    for (const ModuleInfo* one : plan.modules)
        out.push_back(one->name);
    return out;
}

using Names = std::vector<std::string_view>;

}  // namespace

TEST_CASE("peers start before those that call them") {
    const Shop shop;
    const auto plan = make_plan(shop.all, {});
    REQUIRE(plan);
    CHECK(names(*plan) == Names{"product", "payment", "order", "user"});
    CHECK(plan->gateway);
}

TEST_CASE("a part of the shop runs where its state and its peers can be reached") {
    const Shop shop;
    const auto plan = host::make_plan(shop.all, {"order"}, servers({"product", "payment"}));
    REQUIRE(plan);
    CHECK(names(*plan) == Names{"order"});
    CHECK(plan->remote == std::vector<const ModuleInfo*>{&shop.product, &shop.payment});
    CHECK(plan->split);
    CHECK_FALSE(plan->gateway);
    CHECK(plan->port == 3003);
}

TEST_CASE("the gateway alone needs everybody's address") {
    const Shop shop;
    const auto plan =
        host::make_plan(shop.all, {"gateway"}, servers({"order", "product", "payment", "user"}));
    REQUIRE(plan);
    CHECK(plan->gateway);
    CHECK(plan->modules.empty());
    CHECK(plan->remote.size() == 4);
    const auto lost = host::make_plan(shop.all, {"gateway"}, servers({"order", "user"}));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().fields.size() == 2);
}

TEST_CASE("what is loaded here is called here, whatever address it has") {
    const Shop shop;
    const auto plan = host::make_plan(
        shop.all, {"order", "product"}, servers({"order", "product", "payment", "user"})
    );
    REQUIRE(plan);
    CHECK(plan->remote == std::vector<const ModuleInfo*>{&shop.payment});
    const auto whole = host::make_plan(shop.all, {}, servers({"product"}));
    REQUIRE(whole);
    CHECK_FALSE(whole->split);
    CHECK(whole->remote.empty());
}

TEST_CASE("a part of the shop is refused on what only one process sees") {
    const Shop shop;
    Surroundings around = servers({"product", "payment"});
    const auto refusal = [&] {
        const auto plan = host::make_plan(shop.all, {"order"}, around);
        REQUIRE_FALSE(plan);
        CHECK(plan.error().fields.size() == 1);
        return plan.error().detail;
    };
    SECTION("SQLite and the embedded bus") {
        around.servers = false;
        CHECK_THAT(refusal(), Catch::Contains("set DATABASE_URL and RABBITMQ_URL"));
    }
    SECTION("the memory cache") {
        around.shared_cache = false;
        CHECK_THAT(refusal(), Catch::Contains("set REDIS_URL"));
    }
    SECTION("no way to know peers") {
        around.credential = false;
        CHECK_THAT(refusal(), Catch::Contains("internal.certificate_file"));
    }
    SECTION("no way to check who asks") {
        around.identity_public = false;
        CHECK_THAT(refusal(), Catch::Contains("internal.identity_public_file"));
    }
}

TEST_CASE("a listener believes those that may call, the gateway and the operator") {
    const Shop shop;
    const auto plan = host::make_plan(shop.all, {"product"}, servers({}));
    REQUIRE(plan);
    const std::vector<std::string> wanted{"gateway", "operator", "order"};
    CHECK(host::callers_of(*plan, shop.all) == wanted);
}

TEST_CASE("all that is missing is told at once, with what to do") {
    const Shop shop;
    const auto plan = make_plan(shop.all, {"gateway", "order", "prodct"});
    REQUIRE_FALSE(plan);
    const std::string& words = plan.error().detail;
    CHECK_THAT(words, Catch::Contains("prodct: there is no such module; did you mean 'product'?"));
    CHECK_THAT(words, Catch::Contains("gateway: calls 'user', which neither is loaded here"));
    CHECK_THAT(words, Catch::Contains("order: calls 'product'"));
    CHECK_THAT(words, Catch::Contains("order: calls 'payment'"));
    CHECK_THAT(words, Catch::Contains("set DATABASE_URL and RABBITMQ_URL"));
    CHECK_THAT(words, Catch::Contains("set REDIS_URL"));
    CHECK_THAT(words, Catch::Contains("gateway: tells other processes who asks"));
}

TEST_CASE("calls that go in a circle are refused, and the circle is shown") {
    const ModuleInfo a = info("a", {"b"});
    const ModuleInfo b = info("b", {"c"});
    const ModuleInfo c = info("c", {"b"});
    const auto plan = make_plan({&a, &b, &c}, {"a", "b", "c"});
    REQUIRE_FALSE(plan);
    REQUIRE(plan.error().fields.size() == 1);
    CHECK_THAT(plan.error().detail, Catch::Contains("b -> c -> b"));
}

TEST_CASE("an event that nobody publishes is refused") {
    const ModuleInfo a = info("a", {}, {"a.done"}, {"b.done"});
    const auto plan = make_plan({&a}, {"a"});
    REQUIRE_FALSE(plan);
    CHECK_THAT(
        plan.error().detail, Catch::Contains("a: listens to 'b.done', which no module publishes")
    );
}

TEST_CASE("an event is named after its publisher") {
    const ModuleInfo a = info("a", {}, {"b.done"});
    CHECK_FALSE(make_plan({&a}, {"a"}));
}
