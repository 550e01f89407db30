// Reads one HTTP/1.1 answer after the other, in whatever pieces it comes; keeps nothing of it but
// status and size. An answer without Content-Length and chunks is a fault: its end could not be
// told from a broken connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace souk::bench {

class ResponseReader {
public:
    enum class Progress { more, complete, broken };

    /// Before each answer; `to_head`: to a HEAD request, so without a body.
    void reset(bool to_head);
    /// Bytes behind the end of the answer are `broken`: nothing else was asked.
    Progress feed(std::string_view data);

    bool started() const { return size_ > 0; }
    int status() const { return status_; }
    bool keep_alive() const { return keep_alive_; }
    std::uint64_t size() const { return size_; }  // bytes fed

private:
    enum class Stage { head, body, chunk_size, chunk, chunk_end, trailer, done, broken };

    void step(std::string_view& data);
    void read_head(std::string_view& data);
    void parse_head(std::string_view head);
    bool parse_status_line(std::string_view line);
    void parse_field(std::string_view line);
    void read_body(std::string_view& data, Stage next);
    void read_line(std::string_view& data);
    void parse_line();

    Stage stage_ = Stage::head;
    std::string pending_;  // a part of the head or of a line, when it came in pieces
    std::uint64_t left_ = 0;
    std::uint64_t size_ = 0;
    int status_ = 0;
    bool to_head_ = false;
    bool keep_alive_ = true;
    bool chunked_ = false;
    bool has_length_ = false;
};

}  // namespace souk::bench
