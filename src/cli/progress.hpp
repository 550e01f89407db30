// A progress line for long commands: a bar that redraws itself on a terminal, a line every few
// seconds elsewhere (logs, CI). Writes to standard error, so that standard output stays data.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace souk::cli {

class Progress {
public:
    Progress(std::string label, std::int64_t total);
    ~Progress();  // ends the line
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void update(std::int64_t done);

private:
    void draw(std::int64_t done);
    std::string label_;
    std::int64_t total_;
    std::int64_t done_ = 0;
    bool terminal_;
    std::chrono::steady_clock::time_point started_;
    std::chrono::steady_clock::time_point next_draw_;
};

}  // namespace souk::cli
