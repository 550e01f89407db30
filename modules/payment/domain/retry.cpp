#include "domain/retry.hpp"

#include <algorithm>
#include <functional>
#include <string>

namespace souk::payment::domain {

microseconds retry_delay(std::string_view attempt_id, std::int64_t tries) {
    auto doublings = std::clamp<std::int64_t>(tries - 1, 0, 6);
    auto limit = std::min(seconds(1) * (std::int64_t{1} << doublings), seconds(60));
    auto half = microseconds(limit).count() / 2;
    auto hash = std::hash<std::string>()(std::string(attempt_id) + std::to_string(tries));
    return microseconds(half + static_cast<std::int64_t>(hash % static_cast<std::size_t>(half)));
}

}  // namespace souk::payment::domain
