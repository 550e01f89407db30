// Where a Redis server is and whom to be there: what redis:// and rediss:// URLs say.
#pragma once

#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace souk::cache {

struct RedisAddress {
    RedisAddress() = default;
    std::string host;
    std::uint16_t port = 6379;
    std::string user;      // empty: the default user
    std::string password;  // empty: none
    std::int64_t database = 0;
    bool tls = false;
};

/// redis://[user[:password]@]host[:port][/db], rediss:// with TLS. What is left of a lone
/// "secret@" is the user, as in every URL; for a password alone write ":secret@". Errors:
/// `invalid` "redis_url", in words that don't repeat the password.
Result<RedisAddress> parse_redis_url(std::string_view url);

}  // namespace souk::cache
