// The request gate: what a request's head must look like before anything else reads it. Beast 1.81
// accepts framing that two parsers may read differently (DESIGN §9), which is how a second request
// is smuggled past a proxy; so the gate refuses all that is odd, by the raw bytes, before Beast
// sees them. Pure functions: no socket, no clock. Any refusal closes the connection.
#pragma once

#include "souk/error.hpp"
#include "souk/http.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace souk::http {

struct GateLimits {
    std::size_t header_bytes = 8 * 1024;  // the whole head: 431
    std::size_t header_fields = 100;      // 431
    std::size_t target_bytes = 4 * 1024;  // 414
};

/// The length of the head at the start of `buffer`, its empty line included; 0: not all there yet.
/// Errors: `invalid` "bad_framing" (a bare LF, an empty first line), `uri_too_long`,
/// `header_too_large`.
Result<std::size_t> find_head(std::string_view buffer, const GateLimits& limits);

/// What the gate learned from a head that it lets pass.
struct CheckedHead {
    Method method = Method::get;
    std::string target;  // in origin form (or "*"), as sent
    std::string path;    // decoded once
    std::string query;   // raw, after '?'
};

/// `head` is what find_head() found. Errors: `invalid` with a code that names the rule broken,
/// `method_not_allowed` "unknown_method", `uri_too_long`, `header_too_large`, `unsupported_media`
/// "unsupported_encoding".
Result<CheckedHead> check_head(std::string_view head, const GateLimits& limits);

/// Decodes percent escapes. Errors: `invalid` "bad_target" for a broken escape, an escaped control
/// byte or what is not UTF-8 afterwards.
Result<std::string> percent_decode(std::string_view text);

}  // namespace souk::http
