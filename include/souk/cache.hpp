// The cache port: small values by key with a time to live, and counters for rate limits. A cache
// may forget anything at any time; nothing that decides a price or a stock comes from it.
//
// Who fills a key from a database must not put a value that was read before somebody's commit and
// erase(). So a miss of lookup() hands out a lease, which erase() and put() take away, and fill()
// keeps the value only while the lease lasts. `ReadThrough` does all of it; use that.
#pragma once

#include "souk/async.hpp"
#include "souk/clock.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace souk {

/// What somebody finds who means to fill the key when there is nothing.
struct CacheLookup {
    CacheLookup() = default;
    explicit CacheLookup(std::optional<std::string> value) : value(std::move(value)) {}
    std::optional<std::string> value;
    std::uint64_t lease = 0;    // of a miss: the right to fill(); 0: there is none
    bool being_filled = false;  // of a miss: somebody else has the lease
};

class Cache {
public:
    virtual ~Cache() = default;
    /// Nothing when absent, expired or the server is away: a miss is never an error.
    virtual Task<std::optional<std::string>> get(std::string_view key) = 0;
    virtual Task<void> put(std::string_view key, std::string value, milliseconds ttl) = 0;
    virtual Task<void> erase(std::string_view key) = 0;

    /// get(), and on a miss a lease for one at a time, which ends with `lease_ttl`. A cache that
    /// has no leases hands out none, and keeps nothing of fill().
    virtual Task<CacheLookup> lookup(std::string_view key, milliseconds lease_ttl);
    /// put() if the lease still lasts; ends it.
    virtual Task<void> fill(
        std::string_view key, std::uint64_t lease, std::string value, milliseconds ttl
    );
    /// Gives the lease back without a value, so that the next one need not wait for its end.
    virtual Task<void> abandon(std::string_view key, std::uint64_t lease);

    /// The part of it in this process's memory, which others' put() and erase() reach but their
    /// fill() does not: for values that live too short to ask a server for. Lives as long as this.
    virtual Cache& nearby() { return *this; }
};

/// Cache-aside without stampedes: a missing key is loaded once at a time in this process, and, when
/// it is kept for longer than two seconds, as a rule once among all that share the cache. One
/// object for all readers of some keys; any thread.
class ReadThrough {
public:
    using Load = std::function<Task<Result<std::string>>()>;

    /// `cache` and `clock` must outlive it, and it all reads.
    ReadThrough(Cache& cache, Clock& clock);
    ~ReadThrough();
    ReadThrough(const ReadThrough&) = delete;
    ReadThrough& operator=(const ReadThrough&) = delete;

    /// The cached value, or what `load` gives, kept for `ttl` ± 10%. Of those who miss at the same
    /// time one loads, on its own coroutine; when that one is cancelled or runs out of time,
    /// another takes its place. Errors: those of `load`, which are shared with whoever waits but
    /// never kept (something that is not there may be kept as a value of the caller's choice);
    /// `timeout` "timeout" when another one's load did not end before `deadline`.
    Task<Result<std::string>> read(std::string key, milliseconds ttl, Deadline deadline, Load load);

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct RateDecision {
    bool allowed = true;
    std::int64_t limit = 0;
    std::int64_t remaining = 0;
    int reset_s = 0;  // until a request is certainly allowed again
};

class RateLimiter {
public:
    virtual ~RateLimiter() = default;
    /// Takes one of `limit` requests per `window` for `key`.
    virtual Task<RateDecision> take(std::string_view key, std::int64_t limit, seconds window) = 0;
};

}  // namespace souk
