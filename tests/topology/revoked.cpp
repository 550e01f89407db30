// What is revoked stays revoked, through a kill and a restart too.
#include "support/shop.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using test::Shop;

namespace {

constexpr std::chrono::seconds feed_limit{10};

struct Tokens {
    std::string access;
    std::string refresh;
};

Tokens tokens_of(const http::Response& answer) {
    INFO(answer.status << " " << answer.body);
    const json::value body = test::parse(answer);
    Tokens tokens;
    tokens.access = body.at("access_token").as_string();
    tokens.refresh = body.at("refresh_token").as_string();
    return tokens;
}

Tokens sign_up(const Shop& shop) {
    return tokens_of(shop.process().post(
        "/api/users/register",
        R"({"email":"ann@shop.example","password":"a long password","name":"Ann"})"
    ));
}

http::Response refresh(const Shop& shop, const Tokens& tokens) {
    return shop.process().post(
        "/api/users/refresh", R"({"refresh_token":")" + tokens.refresh + R"("})"
    );
}

int status_of_me(const Shop& shop, const Tokens& tokens) {
    return shop.process().get("/api/users/me", Shop::headers(tokens.access)).status;
}

bool soon_refused(const Shop& shop, const Tokens& tokens) {
    return test::eventually(feed_limit, [&] { return status_of_me(shop, tokens) == 401; });
}

}  // namespace

TEST_CASE("a session that was logged out is refused, and still after a kill") {
    Shop shop;
    shop.start();
    const Tokens first = sign_up(shop);
    const Tokens second = tokens_of(shop.process().post(
        "/api/users/login", R"({"email":"ann@shop.example","password":"a long password"})"
    ));
    REQUIRE(status_of_me(shop, first) == 200);

    CHECK(shop.process().post("/api/users/logout", "", Shop::headers(first.access)).status == 204);
    CHECK(soon_refused(shop, first));
    CHECK(refresh(shop, first).status == 401);
    CHECK(status_of_me(shop, second) == 200);  // another session of the same user

    shop.process().kill_hard();
    shop.start();
    // From the first request on: the feed is read before the doors open.
    CHECK(status_of_me(shop, first) == 401);
    CHECK(refresh(shop, first).status == 401);
    CHECK(status_of_me(shop, second) == 200);
    CHECK(refresh(shop, second).status == 200);
}

TEST_CASE("a refresh token that is used twice ends its whole family") {
    Shop shop;
    shop.start();
    const Tokens stolen = sign_up(shop);
    const http::Response once = refresh(shop, stolen);
    REQUIRE(once.status == 200);
    const Tokens fresh = tokens_of(once);
    REQUIRE(status_of_me(shop, fresh) == 200);

    const http::Response twice = refresh(shop, stolen);
    CHECK(twice.status == 401);
    CHECK(test::parse(twice).at("code").as_string() == "invalid_refresh_token");
    CHECK(soon_refused(shop, fresh));
    CHECK(soon_refused(shop, stolen));
    CHECK(refresh(shop, fresh).status == 401);

    shop.process().kill_hard();
    shop.start();
    CHECK(status_of_me(shop, fresh) == 401);
    CHECK(refresh(shop, fresh).status == 401);
}
