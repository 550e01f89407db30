#include "bench/load/histogram.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using souk::bench::Histogram;

TEST_CASE("quantiles are right to 0.5% over nine decades", "[bench]") {
    Histogram histogram;
    std::vector<std::int64_t> values;
    values.reserve(33'000);
    for (int i = 0; i < 33'000; ++i)
        values.push_back(static_cast<std::int64_t>(std::pow(1.0007, i)));
    for (auto value = values.rbegin(); value != values.rend(); ++value)
        histogram.record(*value);  // in no helpful order
    REQUIRE(histogram.count() == values.size());
    for (const double quantile : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const auto rank =
            static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size())));
        const auto exact = static_cast<double>(values[rank - 1]);
        INFO(quantile);
        CHECK(static_cast<double>(histogram.at(quantile)) == Approx(exact).epsilon(0.005));
    }
    CHECK(histogram.max() == values.back());
}

TEST_CASE("a quantile is a value that its share does not exceed", "[bench]") {
    Histogram histogram;
    for (int value = 1; value <= 100; ++value)  // buckets of their own
        histogram.record(value);
    CHECK(histogram.at(0) == 1);
    CHECK(histogram.at(0.5) == 50);
    CHECK(histogram.at(0.99) == 99);
    CHECK(histogram.at(0.991) == 100);
    CHECK(histogram.at(1) == 100);
}

TEST_CASE("one stall among a thousand shows in the tail only", "[bench]") {
    Histogram histogram;
    for (int i = 0; i < 999; ++i)
        histogram.record(100'000);
    histogram.record(200'000'000);
    CHECK(static_cast<double>(histogram.at(0.999)) == Approx(100'000).epsilon(0.005));
    CHECK(histogram.at(0.9995) > 199'000'000);
    CHECK(histogram.max() == 200'000'000);
}

TEST_CASE("histograms of threads add up", "[bench]") {
    Histogram all;
    Histogram one;
    Histogram other;
    for (int i = 0; i < 1000; ++i) {
        all.record(i * 7919);
        (i % 3 == 0 ? one : other).record(i * 7919);
    }
    one.add(other);
    CHECK(one.count() == all.count());
    CHECK(one.max() == all.max());
    for (const double quantile : {0.1, 0.5, 0.99})
        CHECK(one.at(quantile) == all.at(quantile));
}

TEST_CASE("an empty histogram, and values out of range", "[bench]") {
    Histogram histogram;
    CHECK(histogram.at(0.5) == 0);
    CHECK(histogram.max() == 0);
    histogram.record(-5);
    CHECK(histogram.at(1) == 0);
    histogram.record(std::int64_t{1} << 50);
    CHECK(histogram.count() == 2);
    CHECK(histogram.max() == std::int64_t{1} << 50);
    CHECK(histogram.at(1) > std::int64_t{1} << 41);
}
