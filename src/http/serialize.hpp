// A response as bytes, written by hand into one buffer that the connection reuses.
#pragma once

#include "souk/clock.hpp"
#include "souk/http.hpp"

#include <string>
#include <string_view>

namespace souk::http {

/// The Date field, formatted once a second.
class DateCache {
public:
    /// "Mon, 23 Nov 2026 11:16:00 GMT"
    std::string_view at(Timestamp now);

private:
    std::int64_t second_ = -1;
    std::string text_;
};

struct WireOptions {
    std::string_view date;
    std::string_view request_id;
    bool head_only = false;  // the answer to HEAD
    bool close = false;
    bool chunked = false;  // a stream of unknown length; else it ends with the connection
};

/// Appends to `out`. Framing fields that a handler set are dropped: the length is ours to say. True
/// when the stream's parts must follow.
bool write_response(std::string& out, const Response& response, const WireOptions& options);

}  // namespace souk::http
