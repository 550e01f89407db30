#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace souk::cli {

namespace {

constexpr int bar_width = 30;
constexpr std::chrono::milliseconds terminal_interval{100};
constexpr std::chrono::seconds log_interval{5};

}  // namespace

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label))
    , total_(total)
    , terminal_(isatty(STDERR_FILENO) == 1)
    , started_(std::chrono::steady_clock::now())
    , next_draw_(started_) {}

Progress::~Progress() {
    draw(done_);
    if (terminal_) fmt::print(stderr, "\n");
}

void Progress::update(std::int64_t done) {
    done_ = done;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_draw_) return;
    next_draw_ = now + (terminal_ ? std::chrono::steady_clock::duration(terminal_interval)
                                  : std::chrono::steady_clock::duration(log_interval));
    draw(done);
}

void Progress::draw(std::int64_t done) {
    const double elapsed_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    const double rate = elapsed_s > 0 ? static_cast<double>(done) / elapsed_s : 0;
    const std::int64_t total = std::max<std::int64_t>(total_, 1);
    if (!terminal_) {
        fmt::print(stderr, "{}: {} of {} ({:.0f}/s)\n", label_, done, total_, rate);
        return;
    }
    const auto filled = static_cast<std::size_t>(done * bar_width / total);
    fmt::print(
        stderr,
        "\r{} [{:<{}}] {}/{} {:.0f}/s ",
        label_,
        std::string(filled, '#'),
        bar_width,
        done,
        total_,
        rate
    );
    std::fflush(stderr);
}

}  // namespace souk::cli
