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

std::string quantiles_json(const Histogram& latencies) {
    std::string text;
    for (const double part : {0.01, 0.05, 0.1,  0.2,  0.3,   0.4,   0.5,   0.6,    0.7,    0.8,
                              0.9,  0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0})
        text += fmt::format(
            "{}[{},{:.1f}]", text.empty() ? "" : ",", part, microseconds(latencies.at(part))
        );
    return text;
}

std::string to_json(const Totals& totals) {
    const double seconds = static_cast<double>(totals.measured) / 1e9;
    const double rate = seconds > 0 ? static_cast<double>(totals.requests) / seconds : 0;
    const Histogram& latencies = totals.latencies;
    return fmt::format(
        R"({{"requests":{},"seconds":{:.6f},"rate":{:.1f},)"
        R"("p50_us":{:.1f},"p90_us":{:.1f},"p99_us":{:.1f},"p999_us":{:.1f},"max_us":{:.1f},)"
        R"("quantiles_us":[{}],)"
        R"("statuses":{{{}}},"faults":{},"reconnects":{},"bytes":{},"cpu_seconds":{:.6f},"total":{}}})",
        totals.requests,
        seconds,
        rate,
        microseconds(latencies.at(0.5)),
        microseconds(latencies.at(0.9)),
        microseconds(latencies.at(0.99)),
        microseconds(latencies.at(0.999)),
        microseconds(latencies.max()),
        quantiles_json(latencies),
        statuses_json(totals),
        totals.faults,
        totals.reconnects,
        totals.bytes,
        static_cast<double>(totals.cpu) / 1e9,
        totals.total
    );
}

}  // namespace souk::bench
