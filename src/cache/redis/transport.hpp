// A connection's bytes: TCP, or TLS over it with the certificate checked against the host's name.
#pragma once

#include "cache/redis/address.hpp"
#include "souk/async.hpp"

#include <boost/system/error_code.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace souk::cache {

/// On one executor. close() makes all that waits end with an error.
class Transport {
public:
    virtual ~Transport() = default;
    virtual Task<boost::system::error_code> connect(const RedisAddress& address) = 0;
    /// What came, at least one byte, in `bytes`: holds until the next read.
    virtual Task<boost::system::error_code> read(std::string_view& bytes) = 0;
    /// All of `bytes`, which must live until it ends.
    virtual Task<boost::system::error_code> write(const std::string& bytes) = 0;
    virtual void close() = 0;
    /// Why it is not trusted; empty when that was not the matter.
    virtual std::string distrust() const { return {}; }
};

/// `ca_file` (empty: the system's) is read here. Errors: `invalid` "redis_ca".
Result<std::unique_ptr<Transport>> make_transport(
    const Executor& executor, const RedisAddress& address, const std::filesystem::path& ca_file
);

}  // namespace souk::cache
