// bench_hash: password hashes a second, by libsodium alone, at the cost that the shop asks for (the
// parameters come with its dummy hash). A login is one verification, which is one hash.
#include "bench/load/arguments.hpp"
#include "bench/load/schedule.hpp"
#include "security/passwords.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

using namespace souk::bench;

namespace {

constexpr const char* usage = R"(usage: bench_hash --seconds S [--threads N]
Verifies passwords on N threads (2) for S seconds; prints {"hashes","seconds","rate","threads"}.
)";

/// Hashes done from start to end, the last one in part.
double hash_until(Nanoseconds start, Nanoseconds end) {
    const std::string hash(souk::security::dummy_hash());
    const std::string password = "a password of usual length";
    double done = 0;
    for (Nanoseconds before = start; before < end; ++done) {
        // Never equal; what a wrong password costs is what the right one costs.
        if (crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0)
            throw std::runtime_error("the hash of no password was met");
        const Nanoseconds now = now_ns();
        if (now > end)
            return done + static_cast<double>(end - before) / static_cast<double>(now - before);
        before = now;
    }
    return done;
}

int run(const Arguments& arguments) {
    if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
    const std::uint64_t threads = arguments.count("--threads", 2);
    const double seconds = arguments.number("--seconds", 0);
    if (seconds <= 0) throw UsageError("--seconds is more than 0");
    std::vector<double> done(threads);
    const Nanoseconds start = now_ns();
    const Nanoseconds end = start + static_cast<Nanoseconds>(seconds * 1e9);
    {
        std::vector<std::jthread> workers;
        workers.reserve(threads);
        for (double& mine : done)
            workers.emplace_back([&mine, start, end] { mine = hash_until(start, end); });
    }
    const double hashes = std::accumulate(done.begin(), done.end(), 0.0);
    fmt::print(
        R"({{"hashes":{:.1f},"seconds":{:.6f},"rate":{:.2f},"threads":{}}})"
        "\n",
        hashes,
        seconds,
        hashes / seconds,
        threads
    );
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("bench_hash", usage, argc, argv, [&] {
        return run(Arguments(argc, argv, {"--threads", "--seconds"}));
    });
}
