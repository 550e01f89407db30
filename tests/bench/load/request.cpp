#include "bench/load/request.hpp"

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <fstream>
#include <stdexcept>

namespace souk::bench {

namespace json = boost::json;

namespace {

constexpr std::string_view mark = "{n}";

std::string string_of(const json::value& value, std::string_view name) {
    if (!value.is_string()) throw std::runtime_error(fmt::format("{} is no string", name));
    return std::string(std::string_view(value.get_string()));
}

/// What stands in the head may not end its line.
void require_one_line(std::string_view text, std::string_view name) {
    if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
        throw std::runtime_error(fmt::format("{} has a line break", name));
}

void read_headers(Request& request, const json::value& value) {
    if (!value.is_object()) throw std::runtime_error("headers is no object");
    for (const auto& [key, field] : value.get_object()) {
        std::string name(key);
        std::string text = string_of(field, name);
        require_one_line(name, "a header's name");
        require_one_line(text, name);
        if (strcasecmp(name.c_str(), "Content-Length") == 0 ||
            strcasecmp(name.c_str(), "Transfer-Encoding") == 0)
            throw std::runtime_error(name + " is written by bench_load");
        request.headers.emplace_back(std::move(name), std::move(text));
    }
}

bool has_header(const Request& request, const char* name) {
    for (const auto& header : request.headers)
        if (strcasecmp(header.first.c_str(), name) == 0) return true;
    return false;
}

/// How long the text is once each {n} is a number.
std::size_t length_with_numbers(std::string_view text) {
    std::size_t length = text.size();
    for (std::size_t at = text.find(mark); at != std::string_view::npos;
         at = text.find(mark, at + mark.size()))
        length += RenderedRequest::digits - mark.size();
    return length;
}

bool wants_length(const Request& request) {
    return !request.body.empty() || request.method == "POST" || request.method == "PUT" ||
           request.method == "PATCH";
}

std::string render(const Request& request, const std::string& host) {
    std::string text = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.path);
    if (!has_header(request, "Host")) text += fmt::format("Host: {}\r\n", host);
    for (const auto& [name, value] : request.headers)
        text += fmt::format("{}: {}\r\n", name, value);
    if (!request.body.empty() && !has_header(request, "Content-Type"))
        text += "Content-Type: application/json\r\n";
    if (wants_length(request))
        text += fmt::format("Content-Length: {}\r\n", length_with_numbers(request.body));
    return text + "\r\n" + request.body;
}

}  // namespace

Request parse_request(std::string_view line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error) throw std::runtime_error("no JSON: " + error.message());
    if (!value.is_object()) throw std::runtime_error("no JSON object");
    Request request;
    request.method = "GET";
    for (const auto& [name, member] : value.get_object()) {
        if (name == "method")
            request.method = string_of(member, name);
        else if (name == "path")
            request.path = string_of(member, name);
        else if (name == "headers")
            read_headers(request, member);
        else if (name == "body")
            request.body = string_of(member, name);
        else
            throw std::runtime_error(fmt::format("unknown member '{}'", std::string_view(name)));
    }
    if (request.method.empty() || request.method.find_first_of(" \r\n") != std::string::npos)
        throw std::runtime_error("method is no method");
    if (!request.path.starts_with('/') || request.path.find(' ') != std::string::npos)
        throw std::runtime_error("path starts with / and has no space");
    require_one_line(request.path, "path");
    return request;
}

std::vector<Request> read_requests(const std::string& file) {
    std::ifstream in(file);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}", file));
    std::vector<Request> requests;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        try {
            requests.push_back(parse_request(line));
        } catch (const std::exception& error) {
            throw std::runtime_error(fmt::format("{} line {}: {}", file, number, error.what()));
        }
    }
    if (requests.empty()) throw std::runtime_error(fmt::format("{} has no request", file));
    return requests;
}

RenderedRequest::RenderedRequest(const Request& request, const std::string& host)
    : head_(request.method == "HEAD") {
    const std::string text = render(request, host);
    std::size_t from = 0;
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, from)) {
        bytes_.append(text, from, at - from);
        places_.push_back(bytes_.size());
        bytes_.append(digits, '0');
        from = at + mark.size();
    }
    bytes_.append(text, from);
}

std::string_view RenderedRequest::with(std::uint64_t number) {
    if (places_.empty()) return bytes_;
    std::array<char, digits> text;
    for (std::size_t i = digits; i-- > 0; number /= 10)
        text[i] = static_cast<char>('0' + number % 10);
    for (const std::size_t place : places_)
        bytes_.replace(place, digits, text.data(), digits);
    return bytes_;
}

std::string_view RenderedRequest::name() const {
    const std::string_view bytes = bytes_;
    return bytes.substr(0, bytes.find(" HTTP/1.1"));
}

}  // namespace souk::bench
