// What a run of bench_load is to do, read from the command line and checked before the first
// connection.
#pragma once

#include "bench/load/arguments.hpp"
#include "bench/load/request.hpp"
#include "bench/load/schedule.hpp"

#include <sys/socket.h>

#include <set>
#include <string>
#include <vector>

namespace souk::bench {

struct Target {
    std::string host;  // as in the Host field
    sockaddr_storage address;
    socklen_t length;
};

struct Plan {
    std::vector<Target> targets;
    std::vector<Request> requests;
    std::set<int> expected;
    unsigned connections = 0;
    unsigned threads = 0;
    double rate = 0;                 // a second; 0: closed loop
    Nanoseconds warm = 0;            // before what is measured
    Nanoseconds duration = 0;        // of what is measured; 0: by count
    std::uint64_t count = 0;         // requests to measure; 0: by duration
    Nanoseconds timeout = 0;         // of an answer, and of the backlog at the end
    std::uint64_t first_number = 0;  // of {n}; random, so that no two runs share one

    bool open_loop() const { return rate > 0; }
};

/// Throws UsageError, or std::runtime_error for a file or a name that cannot be read.
Plan read_plan(int argc, char** argv);
/// Throws UsageError for anything but http://host[:port].
Target resolve(const std::string& url);

}  // namespace souk::bench
