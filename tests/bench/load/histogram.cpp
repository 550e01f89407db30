#include "bench/load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace souk::bench {

namespace {

constexpr int precision_bits = 7;
constexpr std::uint64_t per_octave = 1U << precision_bits;
constexpr std::uint64_t largest = (std::uint64_t{1} << 42) - 1;

// Values up to 2 * per_octave have a bucket each; above, `shift` low bits are dropped.
int shift_of(std::uint64_t value) {
    return std::max(0, static_cast<int>(std::bit_width(value)) - precision_bits - 1);
}

std::size_t bucket_of(std::uint64_t value) {
    const int shift = shift_of(value);
    return static_cast<std::size_t>(shift) * per_octave + (value >> shift);
}

std::int64_t middle_of(std::size_t bucket) {
    if (bucket < 2 * per_octave) return static_cast<std::int64_t>(bucket);
    const std::uint64_t shift = bucket / per_octave - 1;
    const std::uint64_t lowest = (bucket - shift * per_octave) << shift;
    return static_cast<std::int64_t>(lowest + (std::uint64_t{1} << shift) / 2);
}

}  // namespace

Histogram::Histogram() : buckets_(bucket_of(largest) + 1) {}

void Histogram::record(std::int64_t nanoseconds) {
    const std::int64_t value = std::max<std::int64_t>(0, nanoseconds);
    ++buckets_[bucket_of(std::min(largest, static_cast<std::uint64_t>(value)))];
    ++count_;
    max_ = std::max(max_, value);
}

void Histogram::add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i)
        buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

std::int64_t Histogram::at(double quantile) const {
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
    const std::uint64_t rank =
        std::clamp<std::uint64_t>(wanted, 1, std::max<std::uint64_t>(1, count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= rank) return std::min(middle_of(i), max_);
    }
    return 0;
}

}  // namespace souk::bench
