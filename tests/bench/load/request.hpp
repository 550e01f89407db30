// The requests of a run: read from JSON lines, rendered to bytes once. Where a request says `{n}`,
// a number is written over fixed places, so that sending costs no formatting and Content-Length
// holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk::bench {

struct Request {
    std::string method;
    std::string path;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

/// `{"method","path","headers":{},"body":""}`, all but path optional. Throws std::runtime_error
/// that says what is wrong.
Request parse_request(std::string_view line);
/// Empty lines are skipped; faults are told with their line. Throws as parse_request, and when
/// there is no request.
std::vector<Request> read_requests(const std::string& file);

class RenderedRequest {
public:
    static constexpr std::size_t digits = 19;

    /// Adds Host, Content-Length (where there is a body or the method calls for one) and, for a
    /// body of no stated type, Content-Type: application/json.
    RenderedRequest(const Request& request, const std::string& host);

    /// The bytes with `number` (below 10^19) in place of each {n}; good until the next call.
    std::string_view with(std::uint64_t number);
    bool is_head() const { return head_; }
    /// For messages: "GET /api/products".
    std::string_view name() const;

private:
    std::string bytes_;
    std::vector<std::size_t> places_;
    bool head_;
};

}  // namespace souk::bench
