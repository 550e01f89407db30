// Beast's parser, filling a request in place: the head first, then the body into whatever string it
// is told, within a limit. For connection.cpp only.
#pragma once

#include "http/chars.hpp"
#include "http/gate.hpp"
#include "souk/http.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <string>

namespace souk::http {

class RequestReader final : public boost::beast::http::basic_parser<true> {
public:
    using error_code = boost::system::error_code;
    using string_view = boost::beast::string_view;

    /// `internal`: a client's Souk-* fields are seen.
    RequestReader(Request& request, const GateLimits& limits, bool internal)
        : request_(request), into_(&request.body), internal_(internal) {
        header_limit(static_cast<std::uint32_t>(limits.header_bytes));
        body_limit(boost::none);  // ours, below: the route that sets it is not known yet
    }

    /// From now on body bytes are taken, up to `bytes`.
    void take_body(std::size_t bytes) { limit_ = bytes; }
    /// What follows goes there instead of into Request::body.
    void take_into(std::string& part) { into_ = &part; }
    void discard_body(std::size_t bytes) {
        limit_ = bytes;
        discard_ = true;
    }
    /// What was taken and not fetched yet.
    std::size_t taken() const { return into_->size(); }
    bool has_body() { return chunked() || content_length().value_or(0) > 0; }
    bool http_1_1() const { return version_ == 11; }

private:
    void
    on_request_impl(boost::beast::http::verb, string_view, string_view, int version, error_code&)
        override {
        version_ = version;
    }
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_field_impl(boost::beast::http::field, string_view name, string_view value, error_code&)
        override;
    void on_header_impl(error_code&) override { head_done_ = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view body, error_code& ec) override { return take(body, ec); }
    void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& ec) override;
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override {
        return take(body, ec);
    }
    void on_finish_impl(error_code&) override {}
    std::size_t take(string_view body, error_code& ec);

    Request& request_;
    std::string* into_;
    std::size_t limit_ = 0;
    std::size_t received_ = 0;
    int version_ = 0;
    const bool internal_;
    bool head_done_ = false;
    bool discard_ = false;
};

}  // namespace souk::http
