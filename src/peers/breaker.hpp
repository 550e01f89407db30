// Whether a peer is worth calling at all: opens when most calls of the last seconds failed, then
// lets one probe through a second. From any thread; atomics only.
#pragma once

#include "souk/clock.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace souk::peers {

class Breaker {
public:
    enum class Entry { pass, probe, refused };

    /// A probe must end with succeeded(), failed() or abandoned().
    Entry enter(SteadyTime now);
    void succeeded(Entry entry, SteadyTime now);
    void failed(Entry entry, SteadyTime now);
    /// Nothing was learned.
    void abandoned(Entry entry);

    bool is_open() const { return open_until_.load() != closed; }

private:
    struct Sums {
        std::uint32_t calls = 0;
        std::uint32_t failures = 0;
    };
    static constexpr SteadyTime closed{};
    static constexpr std::size_t window_seconds = 10;

    Sums add(bool failed, SteadyTime now);
    void forget();

    std::atomic<SteadyTime> open_until_ = closed;
    std::atomic<bool> probing_ = false;
    std::array<std::atomic<std::uint64_t>, window_seconds> window_{};  // second, failures, calls
};

}  // namespace souk::peers
