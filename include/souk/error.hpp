// Errors as values. What a caller can expect (not found, conflict, bad input, a dependency that is
// away) is an `Error` inside a `Result`; what nobody can expect is an exception, caught once at the
// edge of a request and answered as 500. Kinds map one to one to HTTP statuses, so that an error
// survives the wire between modules.
#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk {

enum class ErrorKind : std::uint8_t {
    invalid,                // 400: malformed or refused input
    unauthenticated,        // 401
    forbidden,              // 403
    not_found,              // 404, also for what belongs to somebody else
    method_not_allowed,     // 405
    conflict,               // 409
    precondition_failed,    // 412
    too_large,              // 413
    uri_too_long,           // 414
    unsupported_media,      // 415
    unprocessable,          // 422
    precondition_required,  // 428
    rate_limited,           // 429
    header_too_large,       // 431
    internal,               // 500
    unavailable,            // 503; between modules: "may have executed"
    timeout,                // 504: the deadline passed
    request_timeout,        // 408: the client was too slow
};

/// The HTTP status of a kind.
int http_status(ErrorKind kind);
/// The kind of an HTTP status; unknown 4xx are `invalid`, all else `internal`.
ErrorKind error_kind_of(int http_status);

/// One fault in the input: an RFC 6901 pointer to the member, a stable code, words for a person.
struct FieldError {
    FieldError(std::string pointer, std::string code, std::string detail)
        : pointer(std::move(pointer)), code(std::move(code)), detail(std::move(detail)) {}
    std::string pointer;
    std::string code;
    std::string detail;
};

/// `code` is stable and for programs ("out_of_stock"); `detail` is for people and may change.
class Error {
public:
    Error() : Error(ErrorKind::internal, "internal", "") {}  // Boost.System asks for it
    Error(ErrorKind kind, std::string code, std::string detail)
        : kind(kind), code(std::move(code)), detail(std::move(detail)) {}

    Error with_fields(std::vector<FieldError> value) && {
        fields = std::move(value);
        return std::move(*this);
    }
    Error with_retry_after(int seconds) && {
        retry_after_s = seconds;
        return std::move(*this);
    }

    ErrorKind kind;
    std::string code;
    std::string detail;
    std::vector<FieldError> fields;
    int retry_after_s = 0;  // 0: none given
};

/// Whether the same request may succeed later without a change (429, 503, 504, conflict in flight).
bool is_retryable(const Error& error);

/// What `Result::value()` throws when there is none.
class Failure : public std::exception {
public:
    explicit Failure(Error error) : error(std::move(error)) {}
    const char* what() const noexcept override { return error.detail.c_str(); }
    Error error;
};

[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

template <class T = void>
using Result = boost::system::result<T, Error>;

inline Error invalid(std::string code, std::string detail) {
    return Error(ErrorKind::invalid, std::move(code), std::move(detail));
}
inline Error not_found(std::string detail) {
    return Error(ErrorKind::not_found, "not_found", std::move(detail));
}
inline Error conflict(std::string code, std::string detail) {
    return Error(ErrorKind::conflict, std::move(code), std::move(detail));
}
inline Error unavailable(std::string code, std::string detail) {
    return Error(ErrorKind::unavailable, std::move(code), std::move(detail)).with_retry_after(1);
}

}  // namespace souk
