#include "bench/load/response.hpp"

#include <catch2/catch.hpp>

#include <string>

using souk::bench::ResponseReader;
using Progress = ResponseReader::Progress;

namespace {

/// Fed in pieces of every size; all must come to the same.
Progress read(ResponseReader& reader, const std::string& text, bool to_head = false) {
    Progress whole = Progress::more;
    for (std::size_t size = text.size(); size > 0; --size) {
        reader.reset(to_head);
        Progress progress = Progress::more;
        for (std::size_t from = 0; from < text.size() && progress == Progress::more; from += size)
            progress = reader.feed(std::string_view(text).substr(from, size));
        if (size == text.size()) whole = progress;
        INFO("pieces of " << size);
        CHECK(progress == whole);
    }
    return whole;
}

}  // namespace

TEST_CASE("an answer ends with its length", "[bench]") {
    ResponseReader reader;
    const std::string text = "HTTP/1.1 201 Created\r\ncontent-LENGTH:  5 \r\nX: y\r\n\r\nhello";
    CHECK(read(reader, text) == Progress::complete);
    CHECK(reader.status() == 201);
    CHECK(reader.size() == text.size());
    CHECK(reader.keep_alive());
    CHECK(read(reader, text.substr(0, text.size() - 1)) == Progress::more);
    CHECK(read(reader, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == Progress::complete);
}

TEST_CASE("an answer ends with its last chunk", "[bench]") {
    ResponseReader reader;
    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string body = "5;a=b\r\nhello\r\n1A\r\n01234567890123456789012345\r\n0\r\n";
    CHECK(read(reader, head + body + "\r\n") == Progress::complete);
    CHECK(read(reader, head + body + "Trailer: x\r\n\r\n") == Progress::complete);
    CHECK(read(reader, head + body) == Progress::more);
    CHECK(read(reader, head + "x\r\n") == Progress::broken);
    CHECK(read(reader, head + "1\r\nab\r\n0\r\n\r\n") == Progress::broken);
}

TEST_CASE("answers without a body", "[bench]") {
    ResponseReader reader;
    CHECK(read(reader, "HTTP/1.1 204 No Content\r\n\r\n") == Progress::complete);
    CHECK(
        read(reader, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == Progress::complete
    );
    CHECK(read(reader, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true) == Progress::complete);
    const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    CHECK(read(reader, interim) == Progress::more);
    CHECK(read(reader, interim + "HTTP/1.1 204 No Content\r\n\r\n") == Progress::complete);
    CHECK(reader.status() == 204);
}

TEST_CASE("who closes the connection", "[bench]") {
    ResponseReader reader;
    read(reader, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    CHECK_FALSE(reader.keep_alive());
    read(reader, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK_FALSE(reader.keep_alive());
    read(reader, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n");
    CHECK(reader.keep_alive());
}

TEST_CASE("what is no answer is broken", "[bench]") {
    ResponseReader reader;
    CHECK(read(reader, "HTTP/1.1 200 OK\r\n\r\n") == Progress::broken);  // no length
    CHECK(read(reader, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n") == Progress::broken);
    CHECK(read(reader, "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n") == Progress::broken);
    CHECK(read(reader, "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na") == Progress::broken);
    reader.reset(false);
    const auto both = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1";
    CHECK(reader.feed(both) == Progress::broken);  // more than was asked
}
