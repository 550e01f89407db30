// Latencies in buckets that grow with the value (128 to each power of two, as HdrHistogram): any
// quantile is right to 0.4%, whatever the range, in 36 KB and without an allocation a value.
#pragma once

#include <cstdint>
#include <vector>

namespace souk::bench {

class Histogram {
public:
    Histogram();
    void record(std::int64_t nanoseconds);  // below 0 counts as 0; above 73 minutes as that
    void add(const Histogram& other);

    std::uint64_t count() const { return count_; }
    std::int64_t max() const { return max_; }  // exact
    /// The smallest value that a share `quantile` (0 to 1) of all does not exceed; 0 when empty.
    std::int64_t at(double quantile) const;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::int64_t max_ = 0;
};

}  // namespace souk::bench
