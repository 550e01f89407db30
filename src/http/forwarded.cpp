#include "http/forwarded.hpp"

#include "http/chars.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <optional>

namespace souk::http {

namespace ip = asio::ip;
using boost::system::error_code;

namespace {

std::optional<ip::address> parse_address(std::string_view text) {
    error_code ec;
    auto address = ip::make_address(std::string(text), ec);
    if (ec) return std::nullopt;
    return unmapped(address);
}

}  // namespace

ip::address unmapped(const ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

Result<TrustedProxies> TrustedProxies::parse(const std::vector<std::string>& cidrs) {
    TrustedProxies out;
    for (const auto& cidr : cidrs) {
        error_code v4_error;
        error_code v6_error;
        const bool whole = cidr.find('/') == std::string::npos;
        const auto v4 = ip::make_network_v4(whole ? cidr + "/32" : cidr, v4_error);
        const auto v6 = ip::make_network_v6(whole ? cidr + "/128" : cidr, v6_error);
        if (v4_error && v6_error)
            return invalid("bad_cidr", "\"" + cidr + "\" is not an address or a CIDR block");
        if (!v4_error)
            out.v4_.push_back(v4.canonical());
        else
            out.v6_.push_back(v6.canonical());
    }
    return out;
}

bool TrustedProxies::contains(const ip::address& address) const {
    if (address.is_v4())
        return std::any_of(v4_.begin(), v4_.end(), [&](const auto& net) {
            return ip::make_network_v4(address.to_v4(), net.prefix_length()).canonical() == net;
        });
    return std::any_of(v6_.begin(), v6_.end(), [&](const auto& net) {
        return ip::make_network_v6(address.to_v6(), net.prefix_length()).canonical() == net;
    });
}

std::string TrustedProxies::client_of(std::string_view peer, const Headers& headers) const {
    if (v4_.empty() && v6_.empty()) return std::string(peer);
    auto client = parse_address(peer);
    if (!client || !contains(*client)) return std::string(peer);
    std::string chain;  // several fields are one list (RFC 9110 §5.3)
    for (const auto& [name, value] : headers) {
        if (!equals_ignoring_case(name, "x-forwarded-for")) continue;
        chain += chain.empty() ? "" : ",";
        chain += value;
    }
    std::string_view rest = chain;
    while (!rest.empty() && contains(*client)) {
        const auto comma = rest.rfind(',');
        const auto last = comma == std::string_view::npos ? rest : rest.substr(comma + 1);
        const auto next = parse_address(trim(last));
        if (!next) break;  // what stands left of rubbish is no trusted proxy's word
        client = next;
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
    }
    return client->to_string();
}

}  // namespace souk::http
