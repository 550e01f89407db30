// Beast's parser of responses, filling one in place, within a limit. For the clients of this folder
// only.
#pragma once

#include "souk/http.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <cstdint>

namespace souk::http {

class ResponseReader final : public boost::beast::http::basic_parser<false> {
    using error_code = boost::system::error_code;
    using string_view = boost::beast::string_view;

public:
    static constexpr std::uint32_t max_head_bytes = 64 * 1024;

    ResponseReader(bool head_only, std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {
        header_limit(max_head_bytes);
        body_limit(boost::none);  // ours, below, says what was too large
        skip(head_only);
    }
    Response& response() { return response_; }

private:
    void on_request_impl(boost::beast::http::verb, string_view, string_view, int, error_code&)
        override {}
    void on_response_impl(int status, string_view, int, error_code&) override {
        response_.status = status;
    }
    void
    on_field_impl(boost::beast::http::field field, string_view name, string_view value, error_code&)
        override {
        if (head_done_) return;  // a trailer
        if (field == boost::beast::http::field::content_type)
            response_.content_type.assign(value.data(), value.size());
        response_.headers.add({name.data(), name.size()}, {value.data(), value.size()});
    }
    void on_header_impl(error_code&) override { head_done_ = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override {
        if (length.value_or(0) > max_body_bytes_) ec = boost::beast::http::error::body_limit;
    }
    std::size_t on_body_impl(string_view body, error_code& ec) override { return take(body, ec); }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override {
        return take(body, ec);
    }
    void on_finish_impl(error_code&) override {}

    std::size_t take(string_view body, error_code& ec) {
        if (response_.body.size() + body.size() > max_body_bytes_) {
            ec = boost::beast::http::error::body_limit;
            return 0;
        }
        response_.body.append(body.data(), body.size());
        return body.size();
    }

    const std::size_t max_body_bytes_;
    Response response_;
    bool head_done_ = false;
};

}  // namespace souk::http
