#include "unit/cache/tls_redis.hpp"

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::test;

namespace {

std::string error_of(cache::RedisOptions options) {
    const RedisReplica replica(std::move(options));
    const auto error = replica.error();
    return error ? error->code + ": " + error->detail : std::string("none");
}

}  // namespace

TEST_CASE("TLS to the host that the certificate names", "[redis][tls]") {
    const TlsRedis server("DNS:localhost,IP:127.0.0.1");
    for (const char* host : {"localhost", "127.0.0.1"}) {
        const auto replica = RedisReplica::connected(server.options(host));
        // Larger than a TLS record and than what is read at once.
        const std::string large(300'000, 'x');
        replica->put("large", large);
        CHECK(replica->get("large") == large);
        CHECK(replica->take(host, 1, seconds(60)).allowed);
        CHECK_FALSE(replica->take(host, 1, seconds(60)).allowed);
    }
}

TEST_CASE("no TLS to another host, or on a stranger's word", "[redis][tls]") {
    const TlsRedis server("DNS:cache.example");
    CHECK(
        error_of(server.options("localhost")) ==
        "redis_tls: the server's certificate does not name localhost"
    );
    CHECK(
        error_of(server.options("127.0.0.1")) ==
        "redis_tls: the server's certificate does not name 127.0.0.1"
    );
    using Catch::StartsWith;
    CHECK_THAT(
        error_of(server.options("localhost", "stranger")),
        StartsWith("redis_tls: the server's certificate is not trusted: ")
    );
    auto system_only = server.options("localhost");
    system_only.ca_file.clear();
    CHECK_THAT(
        error_of(std::move(system_only)),
        StartsWith("redis_tls: the server's certificate is not trusted: ")
    );
    CHECK_THAT(
        error_of(server.options("localhost", "missing")),
        StartsWith("redis_ca: cannot use the certificates in ")
    );
}

TEST_CASE("who speaks without TLS to a server with it, or the reverse, hears why", "[redis][tls]") {
    const TlsRedis server("DNS:localhost");
    auto plain = server.options("localhost");
    plain.url.erase(plain.url.find('s', 5), 1);
    RedisReplica without(std::move(plain));
    REQUIRE_FALSE(without.error());
    CHECK(without.redis().fault().find("does it want TLS (rediss://)?") != std::string::npos);
    Services own({Server::redis});
    auto options = RedisReplica::options("rediss" + own.redis_url().substr(5));
    options.timeout = milliseconds(250);
    RedisReplica with(std::move(options));
    REQUIRE_FALSE(with.error());
    CHECK(with.redis().fault().find("does it speak TLS (or redis://)?") != std::string::npos);
}
