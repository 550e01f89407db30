#include "peers/address.hpp"

#include "http/chars.hpp"
#include "http/client.hpp"

#include <fmt/format.h>

namespace souk::peers {
namespace {

Result<Address> parse_one(std::string_view url) {
    constexpr std::string_view plain = "http://";
    constexpr std::string_view secure = "https://";
    const bool tls = url.starts_with(secure);
    const bool known = tls || url.starts_with(plain);
    const auto place = known ? url.substr(tls ? secure.size() : plain.size()) : "";
    auto target = http::ClientTarget::parse(fmt::format("{}{}", plain, place));
    if (!known || !target)
        return invalid(
            "bad_peer_address",
            fmt::format("\"{}\" is neither http://HOST:PORT nor https://HOST:PORT", url)
        );
    const bool defaulted = target->port == 80 && !place.ends_with(":80");
    const std::uint16_t port = tls && defaulted ? 443 : target->port;
    return Address(std::move(target->host), port, tls);
}

}  // namespace

std::string Address::host_field() const {
    const bool v6 = host.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<std::vector<Address>> parse_addresses(std::string_view list) {
    std::vector<Address> out;
    for (;;) {
        const auto comma = list.find(',');
        auto address = parse_one(http::trim(list.substr(0, comma)));
        if (!address) return address.error();
        out.push_back(std::move(*address));
        if (comma == std::string_view::npos) return out;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace souk::peers
