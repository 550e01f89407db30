#include "peers/breaker.hpp"

namespace souk::peers {
namespace {

constexpr std::uint32_t fewest_calls = 10;  // less proves nothing
// Short, for a peer restarts within a second or two and must be found again.
constexpr milliseconds open_time{1'000};

/// One second of the window in one word, so that it changes as a whole.
struct Bucket {
    explicit Bucket(std::uint64_t word)
        : second(static_cast<std::uint32_t>(word >> 32U))
        , failures(static_cast<std::uint16_t>(word >> 16U))
        , calls(static_cast<std::uint16_t>(word)) {}
    std::uint64_t word() const {
        return (std::uint64_t{second} << 32U) | (std::uint64_t{failures} << 16U) | calls;
    }
    std::uint32_t second;
    std::uint16_t failures;
    std::uint16_t calls;
};

std::uint32_t second_of(SteadyTime now) {
    return static_cast<std::uint32_t>(std::chrono::floor<seconds>(now).time_since_epoch().count());
}

}  // namespace

Breaker::Entry Breaker::enter(SteadyTime now) {
    const SteadyTime until = open_until_.load(std::memory_order_relaxed);
    if (until == closed) return Entry::pass;
    if (now < until || probing_.exchange(true)) return Entry::refused;
    return Entry::probe;
}

void Breaker::succeeded(Entry entry, SteadyTime now) {
    if (entry == Entry::pass) {
        add(false, now);
        return;
    }
    forget();
    open_until_ = closed;
    probing_ = false;
}

void Breaker::failed(Entry entry, SteadyTime now) {
    if (entry == Entry::probe) {
        open_until_ = now + open_time;
        probing_ = false;
        return;
    }
    const Sums sums = add(true, now);
    if (is_open() || sums.calls < fewest_calls || sums.failures * 2 < sums.calls) return;
    open_until_ = now + open_time;
}

void Breaker::abandoned(Entry entry) {
    if (entry == Entry::probe) probing_ = false;
}

Breaker::Sums Breaker::add(bool failed, SteadyTime now) {
    const std::uint32_t second = second_of(now);
    auto& current = window_[second % window_seconds];
    std::uint64_t seen = current.load(std::memory_order_relaxed);
    for (;;) {
        Bucket bucket(seen);
        if (bucket.second != second) bucket = Bucket(std::uint64_t{second} << 32U);
        if (bucket.calls == UINT16_MAX) break;  // enough to judge by
        ++bucket.calls;
        if (failed) ++bucket.failures;
        if (current.compare_exchange_weak(seen, bucket.word(), std::memory_order_relaxed)) break;
    }
    Sums sums;
    if (!failed) return sums;  // nobody asks
    for (const auto& word : window_) {
        const Bucket bucket(word.load(std::memory_order_relaxed));
        if (second - bucket.second >= window_seconds) continue;
        sums.calls += bucket.calls;
        sums.failures += bucket.failures;
    }
    return sums;
}

void Breaker::forget() {
    for (auto& word : window_)
        word = 0;
}

}  // namespace souk::peers
