#include "domain/account.hpp"
#include "unit/user/support.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::user::test;

TEST_CASE("registering makes a customer who is signed in") {
    World world;
    const auto answer = world.sign_up("Ada@Example.COM");
    REQUIRE(answer.status == 201);
    CHECK(answer.text("token_type") == "Bearer");
    CHECK(answer.body.at("expires_in").as_int64() == 600);
    const auto& user = answer.body.at("user").as_object();
    CHECK(user.at("email").as_string() == "ada@example.com");
    CHECK(user.at("role").as_string() == "customer");
    CHECK_FALSE(user.contains("password_hash"));

    const auto identity = world.identity_in(answer);
    CHECK(identity.subject == user.at("id").as_string());
    CHECK(identity.roles == std::vector<std::string>{"customer"});
    const auto me = world.call("/api/users/me", "", identity);
    CHECK(me.status == 200);
    CHECK(me.text("id") == identity.subject);
    CHECK(me.text("name") == "Ada Lovelace");
}

TEST_CASE("an e-mail is taken once, however it is spelled") {
    World world;
    REQUIRE(world.sign_up("ada@example.com").status == 201);
    const auto again = world.sign_up("ADA@example.com");
    CHECK(again.status == 409);
    CHECK(again.code() == "email_taken");
}

TEST_CASE("what registration refuses") {
    World world;
    const std::string long_password(129, 'x');
    CHECK(world.sign_up("ada@example.com", "1234567").status == 400);
    CHECK(world.sign_up("ada@example.com", long_password).status == 400);
    CHECK(world.sign_up("no-email").status == 400);
    CHECK(world.sign_up("ada@example.com", "12345678").status == 201);
    CHECK(world.sign_up("bob@example.com", long_password.substr(1)).status == 201);
    for (const std::string_view member :
         {R"("role":"admin")", R"("verified":true)", R"("id":"usr_1")", R"("password_hash":"x")"}) {
        const auto answer = world.call(
            "/api/users/register",
            fmt::format(
                R"({{"email":"eve@example.com","password":"12345678","name":"Eve",{}}})", member
            )
        );
        CHECK(answer.status == 400);
        CHECK(answer.code() == "validation_failed");
    }
    CHECK(world.log_in("eve@example.com", "12345678").status == 401);
}

TEST_CASE("signing in takes the right password") {
    World world;
    REQUIRE(world.sign_up("ada@example.com").status == 201);
    const auto answer = world.log_in("Ada@example.com");
    REQUIRE(answer.status == 200);
    CHECK(answer.text("token_type") == "Bearer");
    CHECK_FALSE(answer.text("refresh_token").empty());
    CHECK(world.log_in("ada@example.com", "wrong horse").code() == "bad_credentials");
    CHECK(world.log_in("ada@example.com", std::string(1000, 'x')).status == 400);
}

TEST_CASE("a wrong password and an unknown e-mail get the same answer") {
    World world;
    REQUIRE(world.sign_up("ada@example.com").status == 201);
    const auto wrong = world.log_in("ada@example.com", "wrong horse");
    const auto unknown = world.log_in("nobody@example.com", "wrong horse");
    CHECK(wrong.status == 401);
    CHECK(unknown.status == 401);
    CHECK(json::serialize(wrong.body) == json::serialize(unknown.body));
}

TEST_CASE("one account takes only so many tries a minute, from wherever they come") {
    World world;
    REQUIRE(world.sign_up("ada@example.com").status == 201);
    REQUIRE(world.sign_up("bob@example.com").status == 201);
    int tries = 0;
    while (tries < 100 && world.log_in("Ada@example.com", "not this one").status == 401)
        ++tries;
    CHECK(tries == 20);
    const auto refused = world.log_in("ada@example.com");
    CHECK(refused.status == 429);
    CHECK(refused.code() == "too_many_attempts");
    CHECK(world.log_in("bob@example.com").status == 200);
    world.clock.advance(seconds(60));
    CHECK(world.log_in("ada@example.com").status == 200);
}

TEST_CASE("an unknown e-mail costs a hash, too: it is refused when the pool is full") {
    World world;  // one hash at work and two waiting
    auto& hasher = world.services->hasher;
    std::vector<std::string> outcomes;
    for (int i = 0; i < 12; ++i)
        asio::co_spawn(
            world.context,
            hasher.verify(std::nullopt, "correct horse"),
            [&](const std::exception_ptr&, Result<bool> matches) {
                outcomes.push_back(!matches ? matches.error().code : *matches ? "yes" : "no");
            }
        );
    world.context.restart();
    world.context.run();
    CHECK(std::count(outcomes.begin(), outcomes.end(), "busy") >= 9);
    CHECK(std::count(outcomes.begin(), outcomes.end(), "no") >= 2);
    CHECK(std::count(outcomes.begin(), outcomes.end(), "yes") == 0);
}

TEST_CASE("a refresh token works once and is followed by another") {
    World world;
    const auto first = world.sign_up("ada@example.com");
    const auto second = world.refresh(first.text("refresh_token"));
    REQUIRE(second.status == 200);
    CHECK(second.text("refresh_token") != first.text("refresh_token"));
    CHECK(world.identity_in(second).session == world.identity_in(first).session);
    CHECK(second.body.at("user").as_object().at("email").as_string() == "ada@example.com");
    CHECK(world.refresh(second.text("refresh_token")).status == 200);
}

TEST_CASE("reuse of a refresh token ends its whole family, and no other") {
    World world;
    const auto first = world.sign_up("ada@example.com");
    const auto other = world.log_in("ada@example.com");
    const auto second = world.refresh(first.text("refresh_token"));
    const auto third = world.refresh(second.text("refresh_token"));
    REQUIRE(third.status == 200);

    const auto reused = world.refresh(first.text("refresh_token"));
    CHECK(reused.status == 401);
    CHECK(reused.code() == "invalid_refresh_token");
    const auto newest = world.refresh(third.text("refresh_token"));
    CHECK(newest.status == 401);
    CHECK(json::serialize(newest.body) == json::serialize(reused.body));

    const auto revoked = world.revocations();
    REQUIRE(revoked.size() == 1);
    CHECK(revoked[0].session == world.identity_in(first).session);
    CHECK(world.refresh(other.text("refresh_token")).status == 200);
}

TEST_CASE("refresh tokens that are not ours or too old are refused, and nothing is revoked") {
    World world;
    const auto first = world.sign_up("ada@example.com");
    const auto unknown = world.refresh("rt_unknown");
    CHECK(unknown.status == 401);
    CHECK(world.refresh(first.text("access_token").substr(0, 100)).status == 401);
    world.clock.advance(std::chrono::hours(24 * 30));
    const auto expired = world.refresh(first.text("refresh_token"));
    CHECK(expired.status == 401);
    CHECK(json::serialize(expired.body) == json::serialize(unknown.body));
    CHECK(world.revocations().empty());
}

TEST_CASE("logging out ends the session once") {
    World world;
    const auto signed_in = world.sign_up("ada@example.com");
    const auto identity = world.identity_in(signed_in);
    CHECK(world.call("/api/users/logout", "", identity).status == 204);
    CHECK(world.call("/api/users/logout", "", identity).status == 204);
    REQUIRE(world.revocations().size() == 1);
    CHECK(world.revocations()[0].session == identity.session);
    CHECK(world.refresh(signed_in.text("refresh_token")).status == 401);
    CHECK(world.revocations().size() == 1);
}

TEST_CASE("positions of revocations have no gaps") {
    World world;
    REQUIRE(world.sign_up("ada@example.com").status == 201);
    for (int i = 0; i < 5; ++i) {
        const auto identity = world.identity_in(world.log_in("ada@example.com"));
        REQUIRE(world.call("/api/users/logout", "", identity).status == 204);
    }
    const auto log = world.revocations();
    REQUIRE(log.size() == 5);
    for (std::size_t i = 0; i < log.size(); ++i)
        CHECK(log[i].position == static_cast<std::int64_t>(i) + 1);
    CHECK(world.revocations(3).size() == 2);

    // Old ones leave the log, the count goes on.
    world.clock.advance(user::domain::revocation_retention + std::chrono::hours(1));
    const auto identity = world.identity_in(world.log_in("ada@example.com"));
    REQUIRE(world.call("/api/users/logout", "", identity).status == 204);
    const auto later = world.revocations();
    REQUIRE(later.size() == 1);
    CHECK(later[0].position == 6);
}

TEST_CASE("neither passwords nor tokens are in the database") {
    World world;
    const auto signed_in = world.sign_up("ada@example.com", "a very secret password");
    const std::string content = world.all_that_is_stored();
    CHECK(content.find("ada@example.com") != std::string::npos);
    CHECK(content.find("a very secret password") == std::string::npos);
    CHECK(content.find(signed_in.text("refresh_token")) == std::string::npos);
    CHECK(content.find(signed_in.text("access_token")) == std::string::npos);
}
