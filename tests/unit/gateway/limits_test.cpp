#include "gateway/rate_limits.hpp"
#include "unit/gateway/support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::gateway::test;
using http::Access;
using http::RateClass;

namespace {
http::Route limited(RateClass rate_class) {
    return route_for(Access::everyone()).rate(rate_class);
}
}  // namespace

TEST_CASE("one request too many is refused with the time to wait") {
    World world;
    REQUIRE(world.start().has_value());
    const auto login = limited(RateClass::credentials);
    for (int i = 2; i >= 0; --i) {
        CHECK(outcome(world.admit(login, "")) == "200");
        CHECK(world.headers.get("RateLimit-Policy") == R"("credentials";q=3;w=60)");
        CHECK(world.headers.get("RateLimit") == R"("credentials";r=)" + std::to_string(i));
    }
    const auto refused = world.admit(login, "");
    CHECK(outcome(refused) == "429 rate_limited");
    CHECK(refused.error().retry_after_s == 7);
    CHECK(world.headers.get("RateLimit") == R"("credentials";r=0;t=7)");
    CHECK(outcome(world.admit(login, "", "192.0.2.2")) == "200");
}

TEST_CASE("the account is counted when somebody is signed in, otherwise the network") {
    World world;
    REQUIRE(world.start().has_value());
    const auto browse = limited(RateClass::browse);
    const auto token = world.token("customer");
    world.admit(browse, token, "192.0.2.1");
    world.admit(browse, token, "192.0.2.2");
    world.admit(browse, "", "192.0.2.1");
    world.admit(browse, "made.up.token", "192.0.2.1");
    CHECK(world.limiter.taken["browse:usr_customer"] == 2);
    CHECK(world.limiter.taken["browse:ip:192.0.2.1"] == 2);

    world.admit(limited(RateClass::credentials), token, "192.0.2.1");
    CHECK(world.limiter.taken["credentials:ip:192.0.2.1"] == 1);
    world.admit(limited(RateClass::import_), token);
    CHECK(world.limiter.taken["import:usr_customer"] == 1);
    world.admit(limited(RateClass::checkout), token);
    CHECK(world.limiter.taken["checkout:usr_customer"] == 1);
    const auto keys = world.limiter.taken.size();
    world.admit(limited(RateClass::none), token);
    CHECK(world.limiter.taken.size() == keys);
}

TEST_CASE("an address stands for what one host can pick from") {
    using gateway::network_of;
    CHECK(network_of("192.0.2.1") == "192.0.2.1");
    CHECK(network_of("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1"));
    CHECK(network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1"));
    CHECK(network_of("") == "");
}

TEST_CASE("browsers of listed origins may read answers and send what the API takes") {
    World world;
    REQUIRE(world.start().has_value());
    const auto finish = [&](http::Method method, std::string_view origin, bool preflight) {
        http::Request request;
        request.method = method;
        if (!origin.empty()) request.headers.add("Origin", origin);
        if (preflight) request.headers.add("Access-Control-Request-Method", "POST");
        http::Headers out;
        world.gateway->finish(request, out);
        return out;
    };
    const auto simple = finish(http::Method::get, "https://other.example", false);
    CHECK(simple.get("Access-Control-Allow-Origin") == "https://other.example");
    CHECK(simple.get("Access-Control-Expose-Headers").find("RateLimit") != std::string_view::npos);
    CHECK(simple.get("Vary") == "Origin");
    CHECK_FALSE(simple.has("Access-Control-Allow-Methods"));
    CHECK_FALSE(simple.has("Access-Control-Allow-Credentials"));

    const auto preflight = finish(http::Method::options, "https://shop.example", true);
    CHECK(preflight.get("Access-Control-Allow-Origin") == "https://shop.example");
    CHECK(preflight.get("Access-Control-Allow-Methods").find("POST") != std::string_view::npos);
    const auto headers = preflight.get("Access-Control-Allow-Headers");
    CHECK(headers.find("Idempotency-Key") != std::string_view::npos);

    for (const auto* origin :
         {"", "null", "https://shop.example.evil", "http://shop.example", "https://shop.exampl"}) {
        INFO(origin);
        const auto refused = finish(http::Method::options, origin, true);
        CHECK_FALSE(refused.has("Access-Control-Allow-Origin"));
        CHECK_FALSE(refused.has("Access-Control-Allow-Methods"));
        CHECK(refused.get("Vary") == "Origin");
    }
}

TEST_CASE("without listed origins nothing is added") {
    World world(settings({{"cors_origins", ""}}));
    REQUIRE(world.start().has_value());
    http::Request request;
    request.headers.add("Origin", "");
    http::Headers out;
    world.gateway->finish(request, out);
    CHECK(out.begin() == out.end());
}
