// Where a peer is said to be: what stands in the configuration, before names are resolved.
#pragma once

#include "souk/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souk::peers {

struct Address {
    Address(std::string host, std::uint16_t port, bool tls)
        : host(std::move(host)), port(port), tls(tls) {}
    /// For the Host field: IPv6 in brackets.
    std::string host_field() const;

    std::string host;  // a name, or an IP address
    std::uint16_t port;
    bool tls;
};

/// "http://a:13001, https://b:13001". Errors: `invalid` "bad_peer_address" with the faulty one.
Result<std::vector<Address>> parse_addresses(std::string_view list);

}  // namespace souk::peers
