// What the binary costs before anybody buys anything.
#include "support/process.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

using namespace souk;
using test::SoukProcess;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::int64_t resident_kib(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
    return 0;
}

}  // namespace

TEST_CASE("started on an empty folder it is ready, and idle in less than 40 MB") {
    SoukProcess shop;
    const auto begin = std::chrono::steady_clock::now();
    shop.start();
    REQUIRE(shop.get("/health/ready").status == 200);
    const auto took = std::chrono::steady_clock::now() - begin;
    std::this_thread::sleep_for(std::chrono::seconds(2));  // the first sweeps and polls are through
    const std::int64_t kib = resident_kib(shop.pid());
    WARN(
        "ready after " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                       << " ms on an empty folder (target 300); idle resident memory " << kib
                       << " KiB (limit 40960)"
    );
    CHECK(kib > 0);
    if (!sanitized) CHECK(kib < 40 * 1024);
}
