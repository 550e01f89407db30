#include "http/request_reader.hpp"

namespace souk::http {
namespace {

namespace beast_http = boost::beast::http;

/// What souk's processes tell each other about a request. Nobody else's word counts.
constexpr std::string_view internal_prefix = "souk-";

}  // namespace

void RequestReader::
    on_field_impl(beast_http::field, string_view name, string_view value, error_code&) {
    if (head_done_) return;  // a trailer
    if (!internal_ && equals_ignoring_case(name.substr(0, 5), internal_prefix)) return;
    request_.headers.add({name.data(), name.size()}, {value.data(), value.size()});
}

void RequestReader::on_chunk_header_impl(
    std::uint64_t size, string_view extensions, error_code& ec
) {
    // Nobody uses extensions but to make two parsers disagree.
    if (!extensions.empty())
        ec = beast_http::error::bad_chunk_extension;
    else if (size > limit_ - received_)
        ec = beast_http::error::body_limit;
}

std::size_t RequestReader::take(string_view body, error_code& ec) {
    if (body.size() > limit_ - received_) {  // the lengths announced were checked before
        ec = beast_http::error::body_limit;
        return 0;
    }
    received_ += body.size();
    if (!discard_) into_->append(body.data(), body.size());
    return body.size();
}

}  // namespace souk::http
