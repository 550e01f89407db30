// `souk replay online-retail`: every sale of the file placed over HTTP by POST /api/orders/import,
// as fast as the server takes them, and the shop's books compared with the file's. Killed and run
// again, it finishes and doubles nothing: the invoice number is the idempotency key.
#pragma once

#include "cli/api_session.hpp"
#include "cli/online_retail/dataset.hpp"

#include <string>
#include <vector>

namespace souk::cli {

struct ReplayOptions {
    http::ClientTarget target;
    Credentials credentials;
    std::size_t connections = 32;
};

struct ReplayReport {
    std::int64_t placed = 0;  // sales that the shop holds as orders
    std::int64_t paid = 0;    // the shop's own count at the end
    std::int64_t cancelled = 0;
    std::int64_t failed = 0;      // sales that the shop refused
    std::int64_t duplicates = 0;  // answered from an earlier run or try
    std::int64_t units = 0;       // paid
    std::int64_t value_minor = 0;
    double seconds_to_place = 0;
    double seconds_to_paid = 0;
    double orders_per_s = 0;  // until all are paid
    double p50_ms = 0;        // of placing, per answered try
    double p99_ms = 0;
    std::vector<std::string> faults;  // what differs from the file, and refusals (the first few)

    bool agrees() const { return faults.empty(); }
};

/// Runs on one thread until all sales are placed and none is pending. Errors: the shop is out of
/// reach for a minute, the credentials are wrong.
Task<Result<ReplayReport>> replay_retail(
    Executor executor, Clock& clock, ReplayOptions options, const RetailData& data
);

/// {"orders":{"placed","paid","cancelled","failed","duplicates"},"units","value":{...},
/// "orders_per_s","latency_ms":{...},"skipped":{reason:count},"faults":[...],"agrees"}.
json::object to_json(const ReplayReport& report, const RetailData& data);
std::string to_text(const ReplayReport& report, const RetailData& data);

}  // namespace souk::cli
