#include "observe/logging.hpp"

#include "base/log_sink.hpp"
#include "souk/log.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

using namespace souk;
using base::LogFormat;
using base::LogSink;

namespace {

/// Sends standard error into a file while it lives.
class CapturedStderr {
public:
    CapturedStderr() : kept_(::dup(STDERR_FILENO)) {
        int file = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        ::dup2(file, STDERR_FILENO);
        ::close(file);
    }
    ~CapturedStderr() {
        restore();
        std::filesystem::remove(path_);
    }
    std::string text() {
        observe::flush_logs();
        restore();
        std::ifstream in(path_);
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    void restore() {
        if (kept_ < 0) return;
        ::dup2(kept_, STDERR_FILENO);
        ::close(kept_);
        kept_ = -1;
    }
    std::filesystem::path path_ =
        std::filesystem::temp_directory_path() / ("souk-log-" + std::to_string(::getpid()));
    int kept_;
};

}  // namespace

TEST_CASE("level and format are configured by word", "[logging]") {
    CapturedStderr captured;
    observe::configure_logging("warn", "auto");
    CHECK(LogSink::instance().format() == LogFormat::json);  // standard error is a file
    CHECK_FALSE(LogSink::instance().enabled(Level::info));
    CHECK(LogSink::instance().enabled(Level::warn));
    observe::configure_logging("debug", "text");
    CHECK(LogSink::instance().format() == LogFormat::text);  // and so without colour
    CHECK(LogSink::instance().enabled(Level::debug));
    CHECK_THROWS_AS(observe::configure_logging("loud", "json"), std::invalid_argument);
    CHECK_THROWS_AS(observe::configure_logging("error", "xml"), std::invalid_argument);
    CHECK(LogSink::instance().enabled(Level::debug));  // a fault changes nothing
}

TEST_CASE("a logger writes its lines to standard error", "[logging]") {
    CapturedStderr captured;
    observe::configure_logging("info", "json");
    Logger log("payment");
    log.debug("not seen");
    log.info("captured", {{"order_id", "ord_1"}, {"attempt", 2}});
    log.error("declined");
    std::string text = captured.text();
    CHECK(text.find("not seen") == std::string::npos);
    CHECK(
        text.find(R"("component":"payment","message":"captured","order_id":"ord_1","attempt":2})"
        ) != std::string::npos
    );
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}
