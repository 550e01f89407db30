#include "souk/error.hpp"

namespace souk {

int http_status(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::invalid:
            return 400;
        case ErrorKind::unauthenticated:
            return 401;
        case ErrorKind::forbidden:
            return 403;
        case ErrorKind::not_found:
            return 404;
        case ErrorKind::method_not_allowed:
            return 405;
        case ErrorKind::request_timeout:
            return 408;
        case ErrorKind::conflict:
            return 409;
        case ErrorKind::precondition_failed:
            return 412;
        case ErrorKind::too_large:
            return 413;
        case ErrorKind::uri_too_long:
            return 414;
        case ErrorKind::unsupported_media:
            return 415;
        case ErrorKind::unprocessable:
            return 422;
        case ErrorKind::precondition_required:
            return 428;
        case ErrorKind::rate_limited:
            return 429;
        case ErrorKind::header_too_large:
            return 431;
        case ErrorKind::internal:
            return 500;
        case ErrorKind::unavailable:
            return 503;
        case ErrorKind::timeout:
            return 504;
    }
    return 500;
}

ErrorKind error_kind_of(int http_status) {
    switch (http_status) {
        case 401:
            return ErrorKind::unauthenticated;
        case 403:
            return ErrorKind::forbidden;
        case 404:
            return ErrorKind::not_found;
        case 405:
            return ErrorKind::method_not_allowed;
        case 408:
            return ErrorKind::request_timeout;
        case 409:
            return ErrorKind::conflict;
        case 412:
            return ErrorKind::precondition_failed;
        case 413:
            return ErrorKind::too_large;
        case 414:
            return ErrorKind::uri_too_long;
        case 415:
            return ErrorKind::unsupported_media;
        case 422:
            return ErrorKind::unprocessable;
        case 428:
            return ErrorKind::precondition_required;
        case 429:
            return ErrorKind::rate_limited;
        case 431:
            return ErrorKind::header_too_large;
        case 503:
            return ErrorKind::unavailable;
        case 504:
            return ErrorKind::timeout;
        default:
            break;
    }
    return http_status >= 400 && http_status < 500 ? ErrorKind::invalid : ErrorKind::internal;
}

bool is_retryable(const Error& error) {
    switch (error.kind) {
        case ErrorKind::rate_limited:
        case ErrorKind::unavailable:
        case ErrorKind::timeout:
        case ErrorKind::request_timeout:
            return true;
        // In flight elsewhere: whoever says when to come back means that it may then succeed.
        case ErrorKind::conflict:
            return error.retry_after_s > 0;
        default:
            return false;
    }
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw Failure(error);
}

}  // namespace souk
