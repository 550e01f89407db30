// All time comes through `Clock`, so that tests and simulations own it. Two kinds: `Timestamp`, UTC
// wall time for records, and `SteadyTime`, which never steps back, for waits and deadlines.
#pragma once

#include "souk/async.hpp"
#include "souk/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace souk {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Microseconds since 1970-01-01T00:00:00Z. Stored as a 64-bit integer in both databases.
using Timestamp = std::chrono::time_point<std::chrono::system_clock, microseconds>;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, microseconds>;

inline std::int64_t to_micros(Timestamp t) {
    return t.time_since_epoch().count();
}
inline Timestamp from_micros(std::int64_t us) {
    return Timestamp(microseconds(us));
}

/// RFC 3339 in UTC with milliseconds: "2026-11-23T11:16:00.123Z".
std::string to_rfc3339(Timestamp t);
/// Parses RFC 3339 with any offset. Errors: `invalid` with code "bad_timestamp".
Result<Timestamp> parse_rfc3339(std::string_view text);

class Clock {
public:
    virtual ~Clock() = default;
    virtual Timestamp now() const = 0;
    virtual SteadyTime steady() const = 0;
    /// Sleeps on the awaiting coroutine's executor; returns early (false) when cancelled.
    virtual Task<bool> sleep(microseconds duration) = 0;
};

/// The point after which nobody waits for the answer any more. Handed on to every call.
class Deadline {
public:
    Deadline(const Clock& clock, microseconds from_now) : at_(clock.steady() + from_now) {}
    explicit Deadline(SteadyTime at) : at_(at) {}
    static Deadline never() { return Deadline(SteadyTime::max()); }

    SteadyTime at() const { return at_; }
    bool passed(const Clock& clock) const { return clock.steady() >= at_; }
    microseconds remaining(const Clock& clock) const {
        return at_ == SteadyTime::max() ? microseconds::max() : at_ - clock.steady();
    }

private:
    SteadyTime at_;
};

}  // namespace souk
