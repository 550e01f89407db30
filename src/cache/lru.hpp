// Values by key, least recently used first out when their bytes are too many. Without a lock.
#pragma once

#include "souk/clock.hpp"

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souk::cache {

class Lru {
public:
    struct Entry {
        std::string key;
        std::string value;
        SteadyTime expires;
        std::uint64_t lease;  // not 0: no value yet, but somebody who may fill it
        std::size_t size;
    };

    explicit Lru(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    /// Null when absent or expired; else the one used last from now on.
    const Entry* find(std::string_view key, SteadyTime now);
    /// Not kept when it is too large.
    void put(std::string_view key, std::string value, SteadyTime expires, std::uint64_t lease = 0);
    void erase(std::string_view key);
    void clear();

private:
    using Entries = std::list<Entry>;
    void remove(Entries::iterator entry);

    const std::size_t max_bytes_;
    std::size_t bytes_ = 0;
    Entries entries_;                                                 // most recently used first
    std::unordered_map<std::string_view, Entries::iterator> by_key_;  // keys live in the entries
};

/// When `ttl` from `now` is over; "for ever" does not overflow.
inline SteadyTime expiry(SteadyTime now, milliseconds ttl) {
    return ttl > SteadyTime::max() - now ? SteadyTime::max() : now + ttl;
}

}  // namespace souk::cache
