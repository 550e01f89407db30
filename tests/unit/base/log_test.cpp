#include "base/log_sink.hpp"
#include "souk/json.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

using namespace souk;
using base::LogFormat;
using base::LogSink;

namespace {

std::string line(LogFormat format, std::string_view message, std::initializer_list<LogField> f) {
    return base::format_log_line(format, from_micros(0), Level::warn, "order", message, f);
}

struct Pipe {
    Pipe() {
        REQUIRE(::pipe(ends.data()) == 0);
        REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    }
    ~Pipe() {
        for (int end : ends)
            ::close(end);
    }
    std::string read_ready() const {
        std::string all;
        std::array<char, 65536> buffer{};
        pollfd readable{ends[0], POLLIN, 0};
        while (::poll(&readable, 1, 0) == 1) {
            auto n = ::read(ends[0], buffer.data(), buffer.size());
            all.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return all;
    }
    std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("a log line is one JSON object", "[log]") {
    CHECK(
        line(LogFormat::json, "placed", {{"order_id", "ord_1"}, {"items", 3}}) ==
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\"component\":\"order\","
        "\"message\":\"placed\",\"order_id\":\"ord_1\",\"items\":3}\n"
    );
    CHECK(
        line(LogFormat::text, "placed", {{"order_id", "ord_1"}, {"who", "a b"}, {"n", -3}}) ==
        "1970-01-01T00:00:00.000Z warn  [order] placed order_id=ord_1 who=\"a b\" n=-3\n"
    );
}

TEST_CASE("no value can forge a line or steer a terminal", "[log]") {
    std::string evil =
        "x\n{\"level\":\"error\"}\r\t\x1b[2J\x7f\xc2\x9b\xe2\x80\xa8 \"q\" \\ \xff\xc0";
    evil.push_back('\0');
    for (auto format : {LogFormat::json, LogFormat::text, LogFormat::coloured_text}) {
        std::string out = line(format, evil, {{"key", evil}, {"k\ney", 1}});
        CHECK(std::count(out.begin(), out.end(), '\n') == 1);
        CHECK(out.back() == '\n');
        CHECK(out.find('\r') == std::string::npos);
        CHECK(out.find("\x1b[2J") == std::string::npos);
        CHECK(out.find('\x7f') == std::string::npos);
        CHECK(out.find("\xc2\x9b") == std::string::npos);
        CHECK(out.find("\xe2\x80\xa8") == std::string::npos);
        CHECK(out.find('\0') == std::string::npos);
        CHECK(out.find('\xff') == std::string::npos);
    }
    std::string out = line(LogFormat::json, "m", {{"key", "a\"b\\c\nd\x01é"}});
    auto parsed = json::parse(out.substr(0, out.size() - 1));
    REQUIRE(parsed);
    CHECK(parsed->at("key").as_string() == "a\"b\\c\nd\x01é");
}

TEST_CASE("lines arrive in order", "[log]") {
    Pipe pipe;
    LogSink sink(pipe.ends[1], 1 << 20);
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        std::string text = "line " + std::to_string(i) + "\n";
        sink.write(text, Level::info);
        expected += text;
    }
    std::string seen;
    while (!sink.flush(std::chrono::milliseconds(5)))
        seen += pipe.read_ready();
    CHECK(seen + pipe.read_ready() == expected);
    CHECK(sink.dropped() == 0);
}

TEST_CASE("when nobody reads, the oldest lines go and the loss is told", "[log]") {
    Pipe pipe;
    constexpr std::size_t lines = 40'000;
    std::string seen;
    std::uint64_t dropped = 0;
    {
        LogSink sink(pipe.ends[1], 64 << 10);
        for (std::size_t i = 0; i < lines; ++i)
            sink.write("line " + std::to_string(i) + "\n", Level::info);
        CHECK_FALSE(sink.flush(std::chrono::milliseconds(1)));
        dropped = sink.dropped();
        CHECK(dropped > 0);
        while (!sink.flush(std::chrono::milliseconds(5)))
            seen += pipe.read_ready();
        seen += pipe.read_ready();
    }
    CHECK(seen.find("line " + std::to_string(lines - 1) + "\n") != std::string::npos);
    CHECK(seen.find("lines were dropped") != std::string::npos);
    std::size_t arrived = 0;
    std::size_t at = 0;
    while ((at = seen.find("line ", at)) != std::string::npos) {
        ++arrived;
        ++at;
    }
    CHECK(arrived + dropped == lines);
}

TEST_CASE("a process ends although nobody reads its log", "[log]") {
    Pipe pipe;
    LogSink sink(pipe.ends[1], 1 << 20);
    for (int i = 0; i < 20'000; ++i)
        sink.write("a line that fills the pipe\n", Level::error);
}

TEST_CASE("a closed pipe does not end the process", "[log]") {
    Pipe pipe;
    LogSink sink(pipe.ends[1], 1 << 10);
    ::close(std::exchange(pipe.ends[0], ::open("/dev/null", O_RDONLY)));
    sink.write("nobody reads this\n", Level::error);
    CHECK(sink.flush(std::chrono::seconds(10)));
}

TEST_CASE("levels below the threshold are not enabled", "[log]") {
    Pipe pipe;
    LogSink sink(pipe.ends[1], 1 << 10);
    CHECK(sink.enabled(Level::info));
    CHECK_FALSE(sink.enabled(Level::debug));
    sink.set_level(Level::error);
    CHECK_FALSE(sink.enabled(Level::warn));
    CHECK(sink.enabled(Level::error));
}
