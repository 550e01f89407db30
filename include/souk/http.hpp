// HTTP as modules see it: a request already read, checked and bounded; a response as a value; a
// route as a row in a table that can be read as the API. No socket, no parser, no Beast.
#pragma once

#include "souk/context.hpp"
#include "souk/json.hpp"

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk::http {

enum class Method : std::uint8_t { get, head, post, put, patch, delete_, options };
std::string_view to_string(Method method);

/// Header fields in order of arrival. Names compare without regard to case. All are kept in one
/// text, since a string each for name and value cost a request more than reading them. What get()
/// and an iterator give holds until a field is added or set.
class Headers {
    struct Place {
        std::uint32_t begin;
        std::uint32_t name_size;
        std::uint32_t value_size;
    };

public:
    using Field = std::pair<std::string_view, std::string_view>;  // name and value
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Field;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Field;
        Iterator(const char* text, const Place* place) : text_(text), place_(place) {}
        Field operator*() const {
            const char* name = text_ + place_->begin;
            const char* value = name + place_->name_size;
            return Field({name, place_->name_size}, {value, place_->value_size});
        }
        Iterator& operator++() {
            ++place_;
            return *this;
        }
        Iterator operator++(int) { return Iterator(text_, place_++); }
        bool operator==(const Iterator& other) const { return place_ == other.place_; }

    private:
        const char* text_;
        const Place* place_;
    };

    void add(std::string_view name, std::string_view value);
    void set(std::string_view name, std::string_view value);
    /// Empty when absent; the first when repeated.
    std::string_view get(std::string_view name) const;
    bool has(std::string_view name) const;
    std::size_t count(std::string_view name) const;
    void clear();
    Iterator begin() const { return Iterator(text_.data(), places_.data()); }
    Iterator end() const { return Iterator(text_.data(), places_.data() + places_.size()); }

private:
    Field at(const Place& place) const { return *Iterator(text_.data(), &place); }
    std::string text_;
    boost::container::small_vector<Place, 8> places_;
};

/// A body in parts, as they come, pulled by whoever passes it on: nothing is read ahead of the
/// asker, so a slow reader slows the writer down. One read at a time, on one thread.
class BodyStream {
public:
    virtual ~BodyStream() = default;
    /// The next part, of 64 KiB at most; empty: the end. After the end or an error, not again.
    /// Errors of Request::stream: `too_large` "body_too_large", `request_timeout`
    /// "request_timeout", `invalid` "bad_framing" and "body_incomplete" (the client went away).
    virtual Task<Result<std::string>> read() = 0;
    /// The whole body's length, when it is known beforehand; read() then gives as much.
    virtual std::optional<std::uint64_t> length() const { return std::nullopt; }
};

struct Request {
    Method method = Method::get;
    std::string target;  // as sent: path and query, at most 4 KiB
    std::string path;    // percent-decoded, without query; "/api/orders/ord_..."
    std::string query;   // raw, after '?'
    Headers headers;     // a snapshot from before the body: trailers never get in
    std::string body;
    // Of a Route::streams_body() only, and only of bodies over 64 KiB; `body` is empty then. Ends
    // with the answer: who keeps it longer reads "body_incomplete".
    std::shared_ptr<BodyStream> stream;
    std::string remote_address;  // of the client; of the proxy's client only for trusted proxies
    boost::container::small_vector<std::pair<std::string_view, std::string>, 2> params;  // {id}

    /// The path parameter `name`; empty when the pattern has none of that name.
    std::string_view param(std::string_view name) const;
    /// A decoded query parameter; nothing when absent.
    std::optional<std::string> query_param(std::string_view name) const;
    /// A query integer within [min, max]. Errors: `invalid` "bad_query_parameter".
    Result<std::int64_t> query_integer(
        std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max
    ) const;
};

struct Response {
    Response() = default;
    Response(int status, std::string content_type, std::string body)
        : status(status), content_type(std::move(content_type)), body(std::move(body)) {}
    /// 200 (or `status`) with application/json.
    static Response json(const souk::json::value& v, int status = 200);
    static Response no_content() { return Response(204, {}, {}); }
    /// RFC 9457 application/problem+json of `error`.
    static Response problem(const Error& error, std::string_view request_id);

    int status = 200;
    std::string content_type;
    std::string body;
    Headers headers;
    // Instead of `body`: read as fast as the client takes it. An error from it ends the connection
    // in a way that the client sees, never as a body that seems complete.
    std::shared_ptr<BodyStream> stream;
};

using Handler = std::function<Task<Result<Response>>(const CallContext&, const Request&)>;

/// Who may call a route. Checked before the handler runs, by one place for all routes.
class Access {
public:
    static Access everyone() { return Access(Kind::everyone, {}); }
    static Access signed_in() { return Access(Kind::signed_in, {}); }
    static Access permission(std::string_view name) { return Access(Kind::permission, name); }
    enum class Kind : std::uint8_t { everyone, signed_in, permission };
    Kind kind;
    std::string_view name;

private:
    Access(Kind kind, std::string_view name) : kind(kind), name(name) {}
};

/// Which rate limit counts a request, and which priority it has when the process is full.
enum class RateClass : std::uint8_t { browse, checkout, credentials, import_, none };

/// One line of the API. `pattern`: "/api/orders/{id}"; static segments win over parameters.
struct Route {
    Route(Method method, std::string pattern, Access access, std::string summary, Handler handler)
        : method(method)
        , pattern(std::move(pattern))
        , access(access)
        , summary(std::move(summary))
        , handler(std::move(handler)) {}

    Route&& body(souk::json::Decoder decoder) && {
        decoder_ = std::move(decoder);
        return std::move(*this);
    }
    Route&& idempotent_by_key() && {  // Idempotency-Key required; 400 without, by the kernel
        requires_key = true;
        return std::move(*this);
    }
    Route&& rate(RateClass value) && {
        rate_class = value;
        return std::move(*this);
    }
    Route&& max_body(std::size_t bytes) && {
        max_body_bytes = bytes;
        return std::move(*this);
    }
    Route&& streams_body() && {  // a large body is handed over while it comes: Request::stream
        streams = true;
        return std::move(*this);
    }
    Route&& answers(int status) && {
        success_status = status;
        return std::move(*this);
    }
    Route&& within(milliseconds value) && {
        deadline = value;
        return std::move(*this);
    }

    Method method;
    std::string pattern;
    Access access;
    std::string summary;
    Handler handler;
    souk::json::Decoder decoder_;  // documents the request body
    bool requires_key = false;
    bool streams = false;
    RateClass rate_class = RateClass::browse;
    std::size_t max_body_bytes = 1 << 20;
    int success_status = 200;
    milliseconds deadline{2000};
};

using Routes = std::vector<Route>;

/// Opaque keyset cursors: base64url of a few fields. `decode_cursor` errors: `invalid`
/// "bad_cursor".
std::string encode_cursor(const std::vector<std::string>& fields);
Result<std::vector<std::string>> decode_cursor(std::string_view cursor, std::size_t fields);

/// `{"data":[...],"has_more":...,"next_cursor":...}`; an empty `next_cursor` means no more.
Response page(souk::json::array data, const std::string& next_cursor);

}  // namespace souk::http
