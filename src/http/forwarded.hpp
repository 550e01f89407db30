// Whose address counts as the client's. X-Forwarded-For is anybody's word, so it is believed only
// from proxies that the operator named, and only as far as they wrote it themselves.
#pragma once

#include "souk/error.hpp"
#include "souk/http.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace souk::http {

class TrustedProxies {
public:
    /// `cidrs`: "10.0.0.0/8", "fd00::/8", or single addresses. Errors: `invalid` "bad_cidr".
    static Result<TrustedProxies> parse(const std::vector<std::string>& cidrs);
    bool contains(const asio::ip::address& address) const;
    /// `peer` itself, unless it is trusted: then the rightmost address of X-Forwarded-For that is
    /// not.
    std::string client_of(std::string_view peer, const Headers& headers) const;

private:
    std::vector<asio::ip::network_v4> v4_;
    std::vector<asio::ip::network_v6> v6_;
};

/// IPv4-mapped IPv6 addresses as what they are.
asio::ip::address unmapped(const asio::ip::address& address);

}  // namespace souk::http
