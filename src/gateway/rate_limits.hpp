// How often who may call: a quota a minute for each class of routes, counted for the account when
// somebody is signed in and for the network address otherwise. Sign-in is always counted by
// address, since guessing passwords needs no account. Answers carry the fields of
// draft-ietf-httpapi-ratelimit-headers.
#pragma once

#include "souk/cache.hpp"
#include "souk/error.hpp"
#include "souk/http.hpp"
#include "souk/settings.hpp"

#include <array>
#include <string>
#include <string_view>

namespace souk::gateway {

class RateLimits {
public:
    RateLimits(RateLimiter& limiter, const Settings& settings);
    /// Whose quota a request takes from; `subject` is empty when nobody is signed in.
    std::string key_of(
        http::RateClass rate_class, std::string_view subject, std::string_view remote_address
    ) const;
    /// Counts one request of `key`, which must stay until this is over. Not for RateClass::none.
    Task<RateDecision> take(http::RateClass rate_class, std::string_view key);
    /// Adds RateLimit-Policy and RateLimit. Errors: `rate_limited` "rate_limited" with the seconds
    /// to wait.
    Result<void> tell(
        http::RateClass rate_class, const RateDecision& decision, http::Headers& response_headers
    ) const;

private:
    struct Quota {
        std::int64_t per_minute = 0;
        std::string policy;  // the field that says so
    };
    RateLimiter& limiter_;
    std::array<Quota, 4> quotas_;  // by RateClass
};

/// Whom an address stands for: an IPv4 address, or the /64 that one IPv6 host can pick from freely.
std::string network_of(std::string_view remote_address);

}  // namespace souk::gateway
