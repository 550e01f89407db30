#include "cache/redis/address.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <charconv>

namespace souk::cache {
namespace {

Error bad_url(std::string_view why) {
    return invalid(
        "redis_url",
        std::string(why) +
            "; write redis://[user[:password]@]host[:port][/db], or rediss:// for TLS"
    );
}

bool parse_number(std::string_view text, std::int64_t max, std::int64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out >= 0 && out <= max;
}

}  // namespace

Result<RedisAddress> parse_redis_url(std::string_view url) {
    const auto parsed = boost::urls::parse_uri(boost::core::string_view(url.data(), url.size()));
    if (!parsed) return bad_url("it is no URL");
    RedisAddress address;
    address.tls = parsed->scheme() == "rediss";
    if (!address.tls && parsed->scheme() != "redis") return bad_url("its scheme is another one");
    address.host = parsed->host_address();
    if (address.host.empty()) return bad_url("it names no host");
    std::int64_t port = address.port;
    if (parsed->has_port() && (!parse_number(parsed->port(), 65535, port) || port == 0))
        return bad_url("its port is no port");
    address.port = static_cast<std::uint16_t>(port);
    address.user = parsed->user();
    address.password = parsed->password();
    std::string path = parsed->path();
    if (path == "/") path.clear();
    if (!path.empty() &&
        !parse_number(std::string_view(path).substr(1), 1'000'000, address.database))
        return bad_url("its path is not the number of a database");
    if (parsed->has_query() || parsed->has_fragment()) return bad_url("it takes no parameters");
    return address;
}

}  // namespace souk::cache
