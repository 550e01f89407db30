#include "bench/load/response.hpp"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace souk::bench {

namespace {

constexpr std::size_t max_head = 64 * 1024;
constexpr std::size_t max_line = 4 * 1024;

bool is_field(std::string_view line, std::string_view name) {
    return line.size() > name.size() && line[name.size()] == ':' &&
           strncasecmp(line.data(), name.data(), name.size()) == 0;
}

std::string_view value_of(std::string_view line) {
    line.remove_prefix(line.find(':') + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t'))
        line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
        line.remove_suffix(1);
    return line;
}

bool equals(std::string_view value, std::string_view word) {
    return value.size() == word.size() && strncasecmp(value.data(), word.data(), word.size()) == 0;
}

bool read_number(std::string_view text, int base, std::uint64_t& value) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    return error == std::errc{} && stop == end;
}

}  // namespace

void ResponseReader::reset(bool to_head) {
    stage_ = Stage::head;
    pending_.clear();
    size_ = 0;
    to_head_ = to_head;
    keep_alive_ = true;
}

ResponseReader::Progress ResponseReader::feed(std::string_view data) {
    size_ += data.size();
    while (!data.empty() && stage_ != Stage::broken) {
        if (stage_ == Stage::done) stage_ = Stage::broken;  // more than was asked
        step(data);
    }
    if (stage_ == Stage::broken) return Progress::broken;
    return stage_ == Stage::done ? Progress::complete : Progress::more;
}

void ResponseReader::step(std::string_view& data) {
    switch (stage_) {
        case Stage::head:
            return read_head(data);
        case Stage::body:
            return read_body(data, Stage::done);
        case Stage::chunk:
            return read_body(data, Stage::chunk_end);
        case Stage::chunk_size:
        case Stage::chunk_end:
        case Stage::trailer:
            return read_line(data);
        case Stage::done:
        case Stage::broken:
            return;
    }
}

void ResponseReader::read_head(std::string_view& data) {
    const std::size_t before = pending_.size();
    std::string_view text = data;
    if (before > 0) {  // came in pieces: rare, so copied
        pending_ += data;
        text = pending_;
    }
    const std::size_t end = text.find("\r\n\r\n", before > 3 ? before - 3 : 0);
    if (end == std::string_view::npos) {
        if (before == 0) pending_ = data;
        data = {};
        if (pending_.size() > max_head) stage_ = Stage::broken;
        return;
    }
    parse_head(text.substr(0, end + 2));
    data.remove_prefix(end + 4 - before);
    pending_.clear();
}

// `head`: lines, each with its CRLF.
void ResponseReader::parse_head(std::string_view head) {
    chunked_ = false;
    has_length_ = false;
    left_ = 0;
    std::size_t end = head.find('\n');
    if (!parse_status_line(head.substr(0, end - 1))) {
        stage_ = Stage::broken;
        return;
    }
    for (std::size_t from = end + 1; from < head.size(); from = end + 1) {
        end = head.find('\n', from);
        parse_field(head.substr(from, end - 1 - from));
        if (stage_ == Stage::broken) return;
    }
    if (status_ < 200) return;  // an interim answer: the head of the real one follows
    if (to_head_ || status_ == 204 || status_ == 304)
        stage_ = Stage::done;
    else if (chunked_)
        stage_ = Stage::chunk_size;
    else if (!has_length_)
        stage_ = Stage::broken;
    else
        stage_ = left_ == 0 ? Stage::done : Stage::body;
}

bool ResponseReader::parse_status_line(std::string_view line) {
    if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return false;
    std::uint64_t status = 0;
    if (!read_number(line.substr(9, 3), 10, status) || status < 100) return false;
    status_ = static_cast<int>(status);
    keep_alive_ = line[7] == '1';
    return true;
}

void ResponseReader::parse_field(std::string_view line) {
    // Three names count; the first letter rules nearly all others out.
    const char first = line.empty() ? '\0' : static_cast<char>(line.front() | 0x20);
    if (first != 'c' && first != 't') return;
    if (is_field(line, "Content-Length")) {
        if (!read_number(value_of(line), 10, left_)) stage_ = Stage::broken;
        has_length_ = true;
    } else if (is_field(line, "Transfer-Encoding")) {
        chunked_ = equals(value_of(line), "chunked");
        if (!chunked_) stage_ = Stage::broken;
    } else if (is_field(line, "Connection")) {
        if (equals(value_of(line), "close")) keep_alive_ = false;
        if (equals(value_of(line), "keep-alive")) keep_alive_ = true;
    }
}

void ResponseReader::read_body(std::string_view& data, Stage next) {
    const std::uint64_t taken = std::min<std::uint64_t>(left_, data.size());
    data.remove_prefix(taken);
    left_ -= taken;
    if (left_ == 0) stage_ = next;
}

void ResponseReader::read_line(std::string_view& data) {
    const std::size_t end = data.find('\n');
    pending_ += data.substr(0, end);
    if (pending_.size() > max_line) {
        stage_ = Stage::broken;
    } else if (end == std::string_view::npos) {
        data = {};
    } else {
        data.remove_prefix(end + 1);
        parse_line();
        pending_.clear();
    }
}

void ResponseReader::parse_line() {
    std::string_view line = pending_;
    if (!line.ends_with('\r')) {
        stage_ = Stage::broken;
        return;
    }
    line.remove_suffix(1);
    if (stage_ == Stage::chunk_end) {
        stage_ = line.empty() ? Stage::chunk_size : Stage::broken;
    } else if (stage_ == Stage::trailer) {
        if (line.empty()) stage_ = Stage::done;
    } else if (!read_number(line.substr(0, line.find(';')), 16, left_)) {
        stage_ = Stage::broken;
    } else {
        stage_ = left_ == 0 ? Stage::trailer : Stage::chunk;
    }
}

}  // namespace souk::bench
