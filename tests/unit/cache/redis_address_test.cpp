#include "cache/redis/address.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using cache::parse_redis_url;

TEST_CASE("a Redis URL says where and who", "[redis]") {
    const auto full = parse_redis_url("rediss://sho%70:p%40ss@cache.example:7000/12").value();
    CHECK(full.tls);
    CHECK(full.host == "cache.example");
    CHECK(full.port == 7000);
    CHECK(full.user == "shop");
    CHECK(full.password == "p@ss");
    CHECK(full.database == 12);

    const auto plain = parse_redis_url("redis://:secret@[::1]").value();
    CHECK_FALSE(plain.tls);
    CHECK(plain.host == "::1");
    CHECK(plain.port == 6379);
    CHECK(plain.user.empty());
    CHECK(plain.password == "secret");
    CHECK(plain.database == 0);
    CHECK(parse_redis_url("redis://h/").value().database == 0);
}

TEST_CASE("a bad Redis URL is refused in words that keep its password", "[redis]") {
    for (const char* url :
         {"",
          "cache.example:6379",
          "http://:hush@h",
          "redis://",
          "redis://:hush@h:0",
          "redis://:hush@h:65536",
          "redis://:hush@h:x",
          "redis://:hush@h/x",
          "redis://:hush@h/-1",
          "redis://:hush@h/0/1",
          "redis://:hush@h/0?timeout=1",
          "redis://:hush@h/0#x"}) {
        INFO(url);
        const auto address = parse_redis_url(url);
        REQUIRE(address.has_error());
        CHECK(address.error().code == "redis_url");
        CHECK(address.error().detail.find("redis://") != std::string::npos);
        CHECK(address.error().detail.find("hush") == std::string::npos);
    }
}
