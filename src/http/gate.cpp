#include "http/gate.hpp"

#include "base/utf8.hpp"
#include "http/chars.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace souk::http {
namespace {

constexpr std::string_view crlf = "\r\n";

Error bad(std::string_view code, std::string_view detail) {
    return invalid(std::string(code), std::string(detail));
}

/// Takes the next line off `rest`, which ends with CRLF (find_head saw to that).
std::string_view next_line(std::string_view& rest) {
    const auto end = rest.find(crlf);
    auto line = rest.substr(0, end);
    rest.remove_prefix(end + crlf.size());
    return line;
}

std::optional<Method> method_of(std::string_view text) {
    constexpr std::array methods = {
        Method::get,
        Method::head,
        Method::post,
        Method::put,
        Method::patch,
        Method::delete_,
        Method::options};
    constexpr std::array<std::string_view, 7> names = {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (std::size_t i = 0; i < names.size(); ++i)
        if (text == names[i]) return methods[i];
    return std::nullopt;
}

/// The bytes that RFC 3986 allows in a path or query, escapes included. Some clients send [ and ]
/// raw in a query ("filter[x]=1"); nothing reads them as structure there.
constexpr CharSet path_chars("-._~!$&'()*+,;=:@%/");
constexpr CharSet query_chars("-._~!$&'()*+,;=:@%/?[]");
constexpr CharSet host_chars("-._~!$&'()*+,;=");

bool consists_of(std::string_view text, const CharSet& chars) {
    return std::all_of(text.begin(), text.end(), [&](char c) { return chars.has(c); });
}

/// host [":" port], where an IPv6 address stands in brackets (RFC 3986, without userinfo).
bool is_authority(std::string_view text) {
    std::size_t i = 0;
    if (text.starts_with('[')) {
        i = text.find(']');
        if (i == std::string_view::npos || i < 3) return false;
        const auto address = text.substr(1, i - 1);
        for (char c : address)
            if (hex_digit(c) < 0 && c != ':' && c != '.') return false;
        ++i;
    } else {
        while (i < text.size() && host_chars.has(text[i]))
            ++i;
        if (i == 0) return false;
    }
    if (i == text.size()) return true;
    if (text[i] != ':') return false;
    const auto port = text.substr(i + 1);
    return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
}

bool is_utf8(std::string_view text) {
    for (;;) {
        const auto is_ascii = [](char c) { return static_cast<signed char>(c) >= 0; };
        text.remove_prefix(static_cast<std::size_t>(
            std::find_if_not(text.begin(), text.end(), is_ascii) - text.begin()
        ));
        if (text.empty()) return true;
        const auto step = base::next_code_point(text);
        if (!step.valid) return false;
        text.remove_prefix(step.size);
    }
}

/// What is looked at across all fields of a head.
struct Fields {
    std::size_t count = 0;
    std::optional<std::string_view> host;
    bool content_length = false;
    bool chunked = false;
};

/// Fields of which a second one would be a second opinion.
constexpr std::array<std::string_view, 8> single_fields = {
    "host",
    "content-length",
    "transfer-encoding",
    "authorization",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "expect",
};

/// RFC 9112 allows white space around these two values, digits with leading zeros and lists of
/// equal lengths; parsers disagree about all of them, and no client in use sends them.
std::string_view framing_value(std::string_view raw) {
    return raw.starts_with(' ') ? raw.substr(1) : raw;
}

bool is_plain_length(std::string_view value) {
    if (value.empty() || value.size() > 15) return false;
    if (value.size() > 1 && value.front() == '0') return false;
    return std::all_of(value.begin(), value.end(), is_digit);
}

Result<void> check_known_field(std::string_view name, std::string_view raw, Fields& seen) {
    if (equals_ignoring_case(name, "host")) {
        const auto value = trim(raw);
        if (!is_authority(value)) return bad("bad_host", "Host is not a host and a port");
        seen.host = value;
    } else if (equals_ignoring_case(name, "content-length")) {
        if (!is_plain_length(framing_value(raw)))
            return bad("bad_content_length", "Content-Length must be one plain number");
        seen.content_length = true;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
        if (framing_value(raw) != "chunked")
            return bad("bad_transfer_encoding", "the only Transfer-Encoding understood is chunked");
        seen.chunked = true;
    } else if (equals_ignoring_case(name, "expect")) {
        if (!equals_ignoring_case(trim(raw), "100-continue"))
            return bad("bad_expect", "the only expectation understood is 100-continue");
    } else if (equals_ignoring_case(name, "content-encoding")) {
        if (!equals_ignoring_case(trim(raw), "identity"))
            return Error(
                ErrorKind::unsupported_media,
                "unsupported_encoding",
                "request bodies must not be compressed"
            );
    }
    return {};
}

Result<void> check_field(std::string_view line, std::uint32_t& singles, Fields& seen) {
    if (line.front() == ' ' || line.front() == '\t')
        return bad("folded_header", "header fields must not be folded");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
        return bad("bad_header_name", "a header field's name is malformed");
    const auto name = line.substr(0, colon);
    const auto raw = line.substr(colon + 1);
    const auto is_bad = [](char c) { return is_control(c) && c != '\t'; };
    if (has_control(raw) && std::any_of(raw.begin(), raw.end(), is_bad))
        return bad("bad_header_value", "a header field's value has control bytes");
    for (std::size_t i = 0; i < single_fields.size(); ++i) {
        if (!equals_ignoring_case(name, single_fields[i])) continue;
        if (singles & (1u << i)) return bad("repeated_header", std::string(name) + " is repeated");
        singles |= 1u << i;
    }
    return check_known_field(name, raw, seen);
}

Result<Fields> check_fields(std::string_view rest, const GateLimits& limits) {
    Fields seen;
    std::uint32_t singles = 0;
    for (auto line = next_line(rest); !line.empty(); line = next_line(rest)) {
        if (++seen.count > limits.header_fields)
            return Error(ErrorKind::header_too_large, "too_many_headers", "too many header fields");
        if (auto fine = check_field(line, singles, seen); !fine) return fine.error();
    }
    if (!seen.host) return bad("missing_host", "exactly one Host is required");
    if (seen.content_length && seen.chunked)
        return bad("ambiguous_length", "Content-Length and Transfer-Encoding exclude each other");
    return seen;
}

struct RequestLine {
    std::string_view method;
    std::string_view target;
    bool http_1_0 = false;
};

Result<RequestLine> split_request_line(std::string_view line, const GateLimits& limits) {
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return bad("bad_request_line", "the request line must be: method target version");
    RequestLine out;
    out.method = line.substr(0, first);
    out.target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (!is_token(out.method)) return bad("bad_request_line", "the method is malformed");
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return bad("bad_version", "HTTP/1.1 is spoken here");
    out.http_1_0 = version == "HTTP/1.0";
    if (out.target.size() > limits.target_bytes)
        return Error(ErrorKind::uri_too_long, "uri_too_long", "the target is too long");
    if (out.target.empty()) return bad("bad_target", "the target is empty");
    return out;
}

/// "http://host/path" → "/path", when host is what Host says too: whoever routes by one and serves
/// by the other can be led astray.
Result<std::string_view> strip_absolute_form(std::string_view target, std::string_view host) {
    const auto scheme = target.find("://");
    const auto name = target.substr(0, scheme);
    if (scheme == std::string_view::npos ||
        !(equals_ignoring_case(name, "http") || equals_ignoring_case(name, "https")))
        return bad("bad_target", "the target must start with a slash");
    auto rest = target.substr(scheme + 3);
    const auto end = rest.find_first_of("/?");
    const auto authority = rest.substr(0, end);
    if (!is_authority(authority) || !equals_ignoring_case(authority, host))
        return bad("host_mismatch", "the target's host is not the Host");
    if (end == std::string_view::npos) return std::string_view("/");
    if (rest[end] == '?') return bad("bad_target", "the target has no path");
    return rest.substr(end);
}

bool has_dot_segment(std::string_view path) {
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        const auto segment = path.substr(0, path.find('/'));
        if (segment == "." || segment == "..") return true;
        path.remove_prefix(segment.size());
    }
    return false;
}

Result<std::string> decode_path(std::string_view raw) {
    for (std::size_t i = raw.find('%'); i != std::string_view::npos; i = raw.find('%', i + 1)) {
        const auto escape = raw.substr(i + 1, 2);
        if (escape == "2f" || escape == "2F" || escape == "5c" || escape == "5C")
            return bad("encoded_slash", "a slash must not be escaped in a path");
    }
    auto path = percent_decode(raw);
    if (path && has_dot_segment(*path))
        return bad("dot_segment", "a path must not have segments of dots");
    return path;
}

Result<CheckedHead> check_target(Method method, std::string_view target) {
    CheckedHead out;
    out.method = method;
    out.target = target;
    if (target == "*") {
        if (method != Method::options) return bad("bad_target", "* is for OPTIONS only");
        out.path = "*";
        return out;
    }
    if (target.front() != '/') return bad("bad_target", "the target must start with a slash");
    const auto mark = target.find('?');
    const auto raw_path = target.substr(0, mark);
    if (!consists_of(raw_path, path_chars) ||
        !consists_of(target.substr(raw_path.size()), query_chars))
        return bad("bad_target", "the target has bytes that a URL has not");
    auto path = decode_path(raw_path);
    if (!path) return path.error();
    out.path = std::move(*path);
    if (mark == std::string_view::npos) return out;
    out.query = target.substr(mark + 1);
    if (auto decoded = percent_decode(out.query); !decoded) return decoded.error();
    return out;
}

}  // namespace

Result<std::size_t> find_head(std::string_view buffer, const GateLimits& limits) {
    // The longest method and version, with their spaces, take less than 32 bytes.
    if (std::min(buffer.find('\n'), buffer.size()) > limits.target_bytes + 32)
        return Error(ErrorKind::uri_too_long, "uri_too_long", "the target is too long");
    std::size_t line = 0;
    for (;;) {
        const auto newline = buffer.find('\n', line);
        if (newline == std::string_view::npos) break;
        if (newline == line || buffer[newline - 1] != '\r')
            return bad("bad_framing", "lines must end with CR and LF");
        const bool empty = newline == line + 1;
        if (empty && line == 0) return bad("bad_framing", "the request line is empty");
        line = newline + 1;
        if (!empty) continue;
        if (line > limits.header_bytes) break;
        return line;
    }
    if (buffer.size() >= limits.header_bytes)
        return Error(ErrorKind::header_too_large, "header_too_large", "the head is too long");
    return std::size_t{0};
}

Result<CheckedHead> check_head(std::string_view head, const GateLimits& limits) {
    auto line = split_request_line(next_line(head), limits);
    if (!line) return line.error();
    for (char c : line->target)
        if (is_control(c) || c == ' ' || static_cast<unsigned char>(c) >= 0x80)
            return bad("bad_target", "the target has bytes that a URL has not");
    auto fields = check_fields(head, limits);
    if (!fields) return fields.error();
    if (line->http_1_0 && fields->chunked)
        return bad("bad_transfer_encoding", "HTTP/1.0 has no chunked bodies");
    const auto method = method_of(line->method);
    if (!method)
        return Error(ErrorKind::method_not_allowed, "unknown_method", "this method is unknown");
    auto target = line->target;
    if (target.front() != '/' && target != "*") {
        auto origin = strip_absolute_form(target, *fields->host);
        if (!origin) return origin.error();
        target = *origin;
    }
    return check_target(*method, target);
}

Result<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto escape = std::min(text.find('%', i), text.size());
        out.append(text, i, escape - i);
        if ((i = escape) == text.size()) break;
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return bad("bad_target", "a percent escape is broken");
        const char c = static_cast<char>(high * 16 + low);
        if (is_control(c)) return bad("bad_target", "a control byte is escaped in the target");
        out.push_back(c);
        i += 2;
    }
    if (!is_utf8(out)) return bad("bad_target", "the target is not UTF-8");
    return out;
}

}  // namespace souk::http
