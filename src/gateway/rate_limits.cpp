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

Task<Result<void>> RateLimits::take(
    http::RateClass rate_class,
    std::string_view subject,
    std::string_view remote_address,
    http::Headers& response_headers
) {
    if (rate_class == http::RateClass::none) co_return Result<void>();
    const auto name = names[index_of(rate_class)];
    const Quota& quota = quotas_[index_of(rate_class)];
    std::string key(name);
    if (subject.empty() || rate_class == http::RateClass::credentials)
        key.append(":ip:").append(network_of(remote_address));
    else
        key.append(":").append(subject);

    const auto decision = co_await limiter_.take(key, quota.per_minute, window);
    response_headers.set("RateLimit-Policy", quota.policy);
    response_headers.set("RateLimit", state_of(name, decision));
    if (decision.allowed) co_return Result<void>();
    co_return Error(ErrorKind::rate_limited, "rate_limited", "Too many requests; wait a while.")
        .with_retry_after(std::max(1, decision.reset_s));
}

}  // namespace souk::gateway
