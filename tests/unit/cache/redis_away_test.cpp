// Redis that is killed, slow, locked or wrongly addressed: both go on without, and come back.
#include "support/temp_folder.hpp"
#include "unit/cache/redis_console.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace souk;
using namespace souk::test;

namespace {

using Replica = std::unique_ptr<RedisReplica>;

void write_file(const std::filesystem::path& file, std::string_view text) {
    std::ofstream(file, std::ios::trunc) << text;
}

/// The URL without its password, and the password.
std::pair<std::string, std::string> take_password(std::string url) {
    const auto begin = url.find("//") + 2;
    const auto end = url.rfind('@');
    const auto colon = url.find(':', begin);
    std::string password = url.substr(colon + 1, end - colon - 1);
    return {url.erase(begin, end + 1 - begin), std::move(password)};
}

int allowed(RedisReplica& replica, int tries, std::int64_t limit) {
    int count = 0;
    for (int i = 0; i < tries; ++i)
        count += replica.take("k", limit, seconds(3600)).allowed ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("a killed Redis is a miss, and used again when it is back", "[redis][away]") {
    Services own({Server::redis});
    const Replica replica = RedisReplica::connected(RedisReplica::options(own.redis_url()));
    CHECK(replica->metric("redis_connected") == 1);
    replica->put("a", "1");
    for (int round = 0; round < 3; ++round) {
        own.kill(Server::redis);
        CHECK_FALSE(replica->get("b"));
        replica->until_away();
        CHECK_FALSE(replica->get("a"));
        CHECK(replica->metric("redis_connected") == 0);
        replica->put("c", "lost");
        replica->erase("c");
        ReadThrough through(replica->cache(), replica->clock());
        ReadThrough::Load load = []() -> Task<Result<std::string>> { co_return std::string("db"); };
        CHECK(
            replica->run(through.read("d", seconds(60), Deadline::never(), load)).value() == "db"
        );

        own.start(Server::redis);
        replica->until_connected();
        CHECK(replica->metric("redis_connected") == 1);
        RedisReplica::until([&] {
            replica->put("a", "2");
            return replica->get("a") == "2";
        });
    }
}

TEST_CASE("without Redis each of two replicas keeps to the limit", "[redis][away]") {
    Services own({Server::redis});
    const auto options = RedisReplica::options(own.redis_url());
    const Replica one = RedisReplica::connected(options);
    const Replica two = RedisReplica::connected(options);
    CHECK(allowed(*one, 6, 10) == 6);
    CHECK(allowed(*two, 6, 10) == 4);  // one bucket for both

    own.kill(Server::redis);
    one->until_away();
    two->until_away();
    CHECK(allowed(*one, 20, 10) == 4);
    CHECK(allowed(*two, 20, 10) == 6);  // with those before, 10 each

    own.start(Server::redis);  // and has forgotten everything
    one->until_connected();
    two->until_connected();
    CHECK(allowed(*one, 20, 10) == 0);
    CHECK(allowed(*two, 20, 10) == 0);
}

TEST_CASE("a Redis that is slow is done without after the timeout", "[redis][away]") {
    Services own({Server::redis});
    auto options = RedisReplica::options(own.redis_url());
    const Replica patient = RedisReplica::connected(options);
    options.timeout = milliseconds(50);
    const Replica replica = RedisReplica::connected(options);
    RedisConsole console(own.redis_url());
    patient->put("a", "1");
    console.send({"CLIENT", "PAUSE", "1500", "ALL"});
    CHECK_FALSE(replica->get("a"));
    CHECK(replica->take("k", 1, seconds(3600)).allowed);  // by itself
    CHECK_FALSE(replica->take("k", 1, seconds(3600)).allowed);
    RedisReplica::until([&] { return replica->get("a") == "1"; });
    replica->until_connected();
}

TEST_CASE("the password is read anew at each connect", "[redis][away]") {
    Services own({Server::redis});
    const TempFolder folder;
    const auto [url, password] = take_password(own.redis_url());
    auto options = RedisReplica::options(url);
    options.password_file = folder.path() / "password";
    write_file(options.password_file, password + "\n");
    const Replica replica = RedisReplica::connected(options);
    const Replica other = RedisReplica::connected(options);
    RedisConsole console(own.redis_url());
    replica->put("a", "1");
    CHECK(other->get("a") == "1");

    console.send({"CONFIG", "SET", "requirepass", "rotated"});
    console.disconnect("normal");
    console.disconnect("pubsub");
    RedisReplica::until([&] {
        return replica->redis().fault().find("refuses the password") != std::string::npos;
    });
    CHECK(replica->redis().fault().find(password) == std::string::npos);
    replica->erase("a");  // Redis keeps the value, and hears of this later
    CHECK_FALSE(replica->get("a"));

    write_file(options.password_file, "rotated");
    replica->until_connected();
    CHECK_FALSE(replica->get("a"));
    other->until_connected();
    RedisReplica::until([&] { return !other->get("a"); });
    RedisReplica::until([&] {
        replica->put("a", "2");
        return replica->get("a") == "2";
    });
}

TEST_CASE("what only an operator can mend is told at start", "[redis][away]") {
    Services own({Server::redis});
    auto [url, password] = take_password(own.redis_url());
    if (url.ends_with("/0")) url.resize(url.size() - 2);
    const auto with = [&url = url](std::string_view user_and_password, std::string_view path = "") {
        return RedisReplica::options(
            fmt::format("redis://{}@{}{}", user_and_password, url.substr(8), path)
        );
    };
    const auto error_of = [](cache::RedisOptions options) {
        const RedisReplica replica(std::move(options));
        const auto error = replica.error();
        return error ? error->code + ": " + error->detail : std::string("none");
    };
    using Catch::StartsWith;
    CHECK_THAT(
        error_of(with(":wrong")),
        StartsWith("redis_auth: Redis refuses the password of user default; mend redis.url")
    );
    CHECK_THAT(error_of(with("nobody:x")), StartsWith("redis_auth: Redis refuses the password of"));
    CHECK_THAT(
        error_of(RedisReplica::options(url)), StartsWith("redis_auth: Redis wants a password; set")
    );
    CHECK_THAT(
        error_of(with(":" + password, "/99")),
        StartsWith("redis_database: Redis has no database 99")
    );
    CHECK_THAT(error_of(RedisReplica::options("redis:/x")), StartsWith("redis_url: "));
    auto no_file = RedisReplica::options(url);
    no_file.password_file = "/nowhere/at/all";
    CHECK_THAT(error_of(std::move(no_file)), StartsWith("redis_password_file: no password can be"));
}

TEST_CASE("a user of Redis needs the rights that README.md names, no others", "[redis][away]") {
    Services own({Server::redis});
    const auto url = take_password(own.redis_url()).first;
    RedisConsole console(own.redis_url());
    const auto options = [&url](std::string_view user) {
        return RedisReplica::options(fmt::format("redis://{}:pw@{}", user, url.substr(8)), "shop:");
    };
    console.send(
        {"ACL",
         "SETUSER",
         "shop",
         "on",
         ">pw",
         "~shop:*",
         "&shop:*",
         "+@connection",
         "+eval",
         "+evalsha",
         "+subscribe",
         "+publish",
         "+get",
         "+set",
         "+del",
         "+pttl",
         "+time"}
    );
    const Replica replica = RedisReplica::connected(options("shop"));
    replica->put("a", "1");
    CHECK(replica->get("a") == "1");
    CHECK(replica->take("k", 1, seconds(60)).allowed);
    CHECK_FALSE(replica->take("k", 1, seconds(60)).allowed);
    CHECK(replica->redis().fault().empty());

    console.send({"ACL", "SETUSER", "deaf", "on", ">pw", "~shop:*", "+@all"});
    const RedisReplica deaf(options("deaf"));
    REQUIRE(deaf.error());
    CHECK(deaf.error()->code == "redis_auth");
    CHECK(deaf.error()->detail.find("lacks a right") != std::string::npos);

    console.send({"ACL", "SETUSER", "mute", "on", ">pw", "~shop:*", "&shop:*", "+@all", "-eval"});
    console.send({"ACL", "SETUSER", "mute", "-evalsha"});
    const Replica mute = RedisReplica::connected(options("mute"));
    CHECK_FALSE(mute->get("a"));
    CHECK(mute->redis().fault().find("NOPERM") != std::string::npos);
}

TEST_CASE("that no server answers is no reason not to start", "[redis][away]") {
    Services own({Server::redis});
    own.kill(Server::redis);
    RedisReplica replica(RedisReplica::options(own.redis_url()));
    REQUIRE_FALSE(replica.error());
    CHECK(replica.redis().fault().find("no Redis at 127.0.0.1") != std::string::npos);
    CHECK_FALSE(replica.get("a"));
    CHECK(replica.take("k", 1, seconds(60)).allowed);
    own.start(Server::redis);
    replica.until_connected();
    RedisReplica::until([&] {
        replica.put("a", "1");
        return replica.get("a") == "1";
    });
}
