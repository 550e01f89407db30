// Names to addresses; a port, so that tests can move a peer.
#pragma once

#include "souk/async.hpp"
#include "souk/error.hpp"

#include <boost/asio/ip/address.hpp>

#include <memory>
#include <string>
#include <vector>

namespace souk::peers {

class Resolver {
public:
    virtual ~Resolver() = default;
    /// All addresses of `host`. Errors: `unavailable` "resolve".
    virtual Task<Result<std::vector<asio::ip::address>>> resolve(std::string host) = 0;
};

/// The system's, which knows /etc/hosts and the cluster's DNS.
std::unique_ptr<Resolver> make_system_resolver();

}  // namespace souk::peers
