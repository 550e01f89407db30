#include "unit/gateway/support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::gateway::test;
using http::Access;

namespace {
const auto everyone = route_for(Access::everyone());
const auto signed_in = route_for(Access::signed_in());
const auto products_write = route_for(Access::permission("products:write"));
const auto users_import = route_for(Access::permission("users:import"));
const auto unheard_of = route_for(Access::permission("nobody:has_this"));
}  // namespace

TEST_CASE("who may call what") {
    World world;
    REQUIRE(world.start().has_value());
    struct Row {
        std::string caller;
        std::string on_signed_in, on_products_write, on_users_import, on_unheard_of;
    };
    const std::string ok = "200", nobody = "401 unauthenticated", no = "403 forbidden";
    const std::vector<Row> matrix{
        {"", nobody, nobody, nobody, nobody},
        {"customer", ok, no, no, no},
        {"staff", ok, ok, no, no},
        {"importer", ok, no, ok, no},
        {"admin", ok, ok, ok, ok},
        {"unknown_role", ok, no, no, no},
    };
    for (const auto& row : matrix) {
        INFO("caller: " << row.caller);
        const auto token = row.caller.empty() ? "" : world.token(row.caller);
        CHECK(outcome(world.admit(everyone, token)) == ok);
        CHECK(outcome(world.admit(signed_in, token)) == row.on_signed_in);
        CHECK(outcome(world.admit(products_write, token)) == row.on_products_write);
        CHECK(outcome(world.admit(users_import, token)) == row.on_users_import);
        CHECK(outcome(world.admit(unheard_of, token)) == row.on_unheard_of);
    }
}

TEST_CASE("the identity comes from the token") {
    World world;
    REQUIRE(world.start().has_value());
    const auto identity = world.admit(everyone, world.token("staff", "ses_9"));
    REQUIRE(identity.has_value());
    CHECK(identity->subject == "usr_staff");
    CHECK(identity->session == "ses_9");
    CHECK(identity->roles == std::vector<std::string>{"staff"});
    CHECK_FALSE(world.admit(everyone, "")->signed_in());
}

TEST_CASE("bad credentials are refused on public routes, too, with a challenge") {
    World world;
    REQUIRE(world.start().has_value());
    const auto good = world.token("customer");

    CHECK(outcome(world.admit(everyone, "nonsense")) == "401 invalid_token");
    CHECK(world.headers.get("WWW-Authenticate") == R"(Bearer realm="souk", error="invalid_token")");
    CHECK(outcome(world.admit(signed_in, "")) == "401 unauthenticated");
    CHECK(world.headers.get("WWW-Authenticate") == R"(Bearer realm="souk")");

    http::Request basic;
    basic.headers.add("Authorization", "Basic dXNlcjpwYXNz");
    CHECK(outcome(world.admit(everyone, basic)) == "401 invalid_token");
    http::Request empty;
    empty.headers.add("Authorization", "");
    CHECK(outcome(world.admit(everyone, empty)) == "401 invalid_token");
    http::Request twice;
    twice.headers.add("Authorization", "Bearer " + good);
    twice.headers.add("Authorization", "Bearer " + good);
    CHECK(outcome(world.admit(everyone, twice)) == "401 invalid_token");
    http::Request lower_case;
    lower_case.headers.add("Authorization", "bearer " + good);
    CHECK(outcome(world.admit(everyone, lower_case)) == "200");

    world.live(std::chrono::minutes(10));
    CHECK(outcome(world.admit(everyone, good)) == "401 invalid_token");
}

TEST_CASE("a revoked session is refused within a second, and stays so") {
    World world;
    world.users.revoke("ses_before_start");
    REQUIRE(world.start().has_value());
    CHECK(
        outcome(world.admit(everyone, world.token("admin", "ses_before_start"))) ==
        "401 invalid_token"
    );

    const auto token = world.token("customer", "ses_1");
    CHECK(outcome(world.admit(signed_in, token)) == "200");
    world.users.revoke("ses_1");
    world.live(std::chrono::seconds(1));
    CHECK(outcome(world.admit(signed_in, token)) == "401 invalid_token");
    CHECK(outcome(world.admit(everyone, token)) == "401 invalid_token");
    CHECK(outcome(world.admit(signed_in, world.token("customer", "ses_2"))) == "200");

    // The clock leaps an hour and comes back while the user module is away: still refused.
    world.users.away = true;
    world.clock.step_wall(std::chrono::hours(1));
    world.live(std::chrono::seconds(30));
    world.clock.step_wall(-std::chrono::hours(1));
    CHECK(outcome(world.admit(everyone, token)) == "401 invalid_token");
}

TEST_CASE("more revocations than a page are all known at start") {
    World world;
    for (int i = 0; i < 2500; ++i)
        world.users.revoke("ses_" + std::to_string(i));
    REQUIRE(world.start().has_value());
    CHECK(
        outcome(world.admit(signed_in, world.token("customer", "ses_2499"))) == "401 invalid_token"
    );
    CHECK(outcome(world.admit(signed_in, world.token("customer", "ses_2500"))) == "200");
}

TEST_CASE("revocations are forgotten only long after every token has expired") {
    World world;
    world.users.revoke("ses_1");
    REQUIRE(world.start().has_value());
    world.live(std::chrono::minutes(90));
    CHECK(outcome(world.admit(signed_in, world.token("customer", "ses_1"))) == "401 invalid_token");
    world.live(std::chrono::minutes(40));
    CHECK(outcome(world.admit(signed_in, world.token("customer", "ses_1"))) == "200");
}

TEST_CASE("when revocations are stale, permissions stop after a second and all else after sixty") {
    World world;
    REQUIRE(world.start().has_value());
    const auto staff = world.token("staff");
    const auto customer = world.token("customer");
    world.users.away = true;

    world.live(std::chrono::seconds(1));
    CHECK(outcome(world.admit(products_write, staff)) == "200");
    world.live(milliseconds(500));
    CHECK(outcome(world.admit(products_write, staff)) == "503 revocations_stale");
    CHECK(outcome(world.admit(products_write, customer)) == "403 forbidden");
    CHECK(outcome(world.admit(products_write, "")) == "401 unauthenticated");
    CHECK(outcome(world.admit(signed_in, staff)) == "200");

    world.live(milliseconds(58'500));
    CHECK(outcome(world.admit(signed_in, customer)) == "200");
    world.live(milliseconds(500));
    CHECK(outcome(world.admit(signed_in, customer)) == "503 revocations_stale");
    CHECK(world.admit(signed_in, customer).error().retry_after_s > 0);
    CHECK(outcome(world.admit(everyone, customer)) == "503 revocations_stale");
    CHECK(outcome(world.admit(everyone, "")) == "200");

    world.users.away = false;
    world.live(milliseconds(500));
    CHECK(outcome(world.admit(products_write, staff)) == "200");
}

TEST_CASE("a gateway starts while user is away, and knows nobody until it is back") {
    World world;
    world.users.away = true;
    REQUIRE(world.start().has_value());
    const auto customer = world.token("customer");
    CHECK(outcome(world.admit(everyone, "")) == "200");
    CHECK(outcome(world.admit(signed_in, customer)) == "503 signing_keys_away");

    world.users.away = false;
    world.live(milliseconds(500));
    CHECK(outcome(world.admit(signed_in, customer)) == "200");
}

TEST_CASE("who is signed in goes on to other processes under the gateway's signature") {
    const auto key = security::SigningKeyPair::generate();
    World world(settings(), key);
    REQUIRE(world.start().has_value());
    const security::InternalVerifier verifier({key.public_key()});
    const auto token = world.token("customer", "ses_1");

    const auto word = world.word_on(signed_in, token);
    const auto claims = verifier.verify(word, world.clock.now());
    REQUIRE(claims.has_value());
    CHECK(claims->identity.session == "ses_1");
    CHECK(claims->identity.has_role("customer"));
    CHECK(world.word_on(everyone, "").empty());

    CHECK(world.word_on(signed_in, token) == word);  // a signature is used again
    world.live(seconds(11));
    const auto later = world.word_on(signed_in, token);
    CHECK(later != word);
    CHECK(verifier.verify(later, world.clock.now()).has_value());
    const auto promoted = world.word_on(signed_in, world.token("staff", "ses_1"));
    CHECK(verifier.verify(promoted, world.clock.now())->identity.has_role("staff"));
}

TEST_CASE("a new signing key is asked for at once, but at most once a second") {
    World world;
    REQUIRE(world.start().has_value());
    const auto before = world.users.key_calls;
    world.advance(milliseconds(1000));
    world.users.pairs.push_back(security::SigningKeyPair::generate());
    CHECK(outcome(world.admit(signed_in, world.token("customer", "ses_1", 1))) == "200");
    CHECK(world.users.key_calls == before + 1);

    for (int i = 0; i < 100; ++i)
        CHECK_FALSE(world.admit(everyone, "made.up.token").has_value());
    CHECK(world.users.key_calls == before + 1);
    world.advance(milliseconds(1000));
    for (int i = 0; i < 100; ++i)
        CHECK_FALSE(world.admit(everyone, "made.up.token").has_value());
    CHECK(world.users.key_calls == before + 2);
}

TEST_CASE("a key that user no longer lists is dropped within a minute") {
    World world;
    REQUIRE(world.start().has_value());
    world.users.pairs.push_back(security::SigningKeyPair::generate());
    const auto old_token = world.token("customer");
    world.users.pairs.erase(world.users.pairs.begin());
    CHECK(outcome(world.admit(signed_in, old_token)) == "200");
    world.live(std::chrono::seconds(61));
    CHECK(outcome(world.admit(signed_in, old_token)) == "401 invalid_token");
}

TEST_CASE("stop ends the following at once") {
    World world;
    REQUIRE(world.start().has_value());
    CHECK(world.clock.sleepers() == 1);
    world.run(world.gateway->stop());
    CHECK(world.clock.sleepers() == 0);
}
