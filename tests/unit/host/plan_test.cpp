#include "host/plan.hpp"

#include "support/result_text.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using host::make_plan;

namespace {

ModuleInfo info(
    std::string_view name,
    std::vector<std::string_view> calls,
    std::vector<std::string_view> publishes = {},
    std::vector<std::string_view> listens = {}
) {
    ModuleInfo out{};
    out.name = name;
    out.calls = std::move(calls);
    out.publishes = std::move(publishes);
    out.listens = std::move(listens);
    return out;
}

/// A shop like ours, registered in an order that is not the one to start in.
struct Shop {
    ModuleInfo order =
        info("order", {"product", "payment"}, {"order.placed"}, {"payment.captured"});
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

TEST_CASE("a part of the shop that needs nothing else may run alone") {
    const Shop shop;
    const auto plan = make_plan(shop.all, {"user"});
    REQUIRE(plan);
    CHECK(names(*plan) == Names{"user"});
    CHECK_FALSE(plan->gateway);
    CHECK(make_plan(shop.all, {"gateway", "user"})->gateway);
}

TEST_CASE("all that is missing is told at once, with what to do") {
    const Shop shop;
    const auto plan = make_plan(shop.all, {"gateway", "order", "prodct"});
    REQUIRE_FALSE(plan);
    CHECK(plan.error().fields.size() == 5);
    const std::string& words = plan.error().detail;
    CHECK_THAT(words, Catch::Contains("prodct: there is no such module; did you mean 'product'?"));
    CHECK_THAT(
        words,
        Catch::Contains("gateway: calls 'user', which is not loaded here: add user to "
                        "--modules")
    );
    CHECK_THAT(words, Catch::Contains("order: calls 'product'"));
    CHECK_THAT(words, Catch::Contains("order: calls 'payment'"));
    CHECK_THAT(words, Catch::Contains("order: listens to 'payment.captured' of 'payment'"));
    CHECK_THAT(words, !Catch::Contains("bus"));  // it may be either
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
