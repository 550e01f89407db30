#include "gateway/rate_limits.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace souk::gateway {

namespace {

constexpr seconds window{60};

constexpr std::array<std::string_view, 4> names{"browse", "checkout", "credentials", "import"};

std::size_t index_of(http::RateClass rate_class) {
    return static_cast<std::size_t>(rate_class);
}
static_assert(static_cast<int>(http::RateClass::import_) == 3);

/// "browse";r=1199;t=3 with the name in quotes.
std::string state_of(std::string_view name, const RateDecision& decision) {
    const fmt::format_int remaining(std::max<std::int64_t>(0, decision.remaining));
    std::string state;
    state.reserve(48);
    state.append("\"").append(name).append("\";r=").append(remaining.data(), remaining.size());
    if (decision.reset_s > 0) {
        const fmt::format_int wait(decision.reset_s);
        state.append(";t=").append(wait.data(), wait.size());
    }
    return state;
}

}  // namespace

std::string network_of(std::string_view remote_address) {
    const std::string text(remote_address);
    if (text.find(':') == std::string::npos) return text;  // spares IPv4 the look
    in6_addr address{};
    if (inet_pton(AF_INET6, text.c_str(), &address) != 1) return text;
    const auto* bytes = address.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return fmt::format("{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
    std::string prefix;
    for (std::size_t i = 0; i < 8; ++i)
        prefix += fmt::format("{:02x}", bytes[i]);
    return prefix + "/64";
}

RateLimits::RateLimits(RateLimiter& limiter, const Settings& settings) : limiter_(limiter) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto limit = settings.integer(fmt::format("{}_per_minute", names[i]));
        quotas_[i].per_minute = limit;
        quotas_[i].policy = fmt::format("\"{}\";q={};w={}", names[i], limit, window.count());
    }
}

std::string RateLimits::key_of(
    http::RateClass rate_class, std::string_view subject, std::string_view remote_address
) const {
    std::string key(names[index_of(rate_class)]);
    if (subject.empty() || rate_class == http::RateClass::credentials)
        return key.append(":ip:").append(network_of(remote_address));
    return key.append(":").append(subject);
}

Task<RateDecision> RateLimits::take(http::RateClass rate_class, std::string_view key) {
    return limiter_.take(key, quotas_[index_of(rate_class)].per_minute, window);
}

Result<void> RateLimits::tell(
    http::RateClass rate_class, const RateDecision& decision, http::Headers& response_headers
) const {
    response_headers.set("RateLimit-Policy", quotas_[index_of(rate_class)].policy);
    response_headers.set("RateLimit", state_of(names[index_of(rate_class)], decision));
    if (decision.allowed) return {};
    return Error(ErrorKind::rate_limited, "rate_limited", "Too many requests; wait a while.")
        .with_retry_after(std::max(1, decision.reset_s));
}

}  // namespace souk::gateway
