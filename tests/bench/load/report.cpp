#include "bench/load/report.hpp"

#include <fmt/format.h>

namespace souk::bench {

namespace {

double microseconds(std::int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1e3;
}

std::string statuses_json(const Totals& totals) {
    std::string text;
    for (const auto& [status, count] : totals.statuses)
        text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", status, count);
    return text;
}

}  // namespace

std::string to_json(const Totals& totals) {
    const double seconds = static_cast<double>(totals.measured) / 1e9;
    const double rate = seconds > 0 ? static_cast<double>(totals.requests) / seconds : 0;
    const Histogram& latencies = totals.latencies;
    return fmt::format(
        R"({{"requests":{},"seconds":{:.6f},"rate":{:.1f},)"
        R"("p50_us":{:.1f},"p90_us":{:.1f},"p99_us":{:.1f},"p999_us":{:.1f},"max_us":{:.1f},)"
        R"("statuses":{{{}}},"faults":{},"reconnects":{},"bytes":{},"cpu_seconds":{:.6f},"total":{}}})",
        totals.requests,
        seconds,
        rate,
        microseconds(latencies.at(0.5)),
        microseconds(latencies.at(0.9)),
        microseconds(latencies.at(0.99)),
        microseconds(latencies.at(0.999)),
        microseconds(latencies.max()),
        statuses_json(totals),
        totals.faults,
        totals.reconnects,
        totals.bytes,
        static_cast<double>(totals.cpu) / 1e9,
        totals.total
    );
}

}  // namespace souk::bench
