#include "base/log_sink.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace souk::base {
namespace {

// A pipe takes this much whole once poll() says that it is writable, so the writer never blocks
// in write() and lines of several processes on one pipe stay lines.
constexpr std::size_t chunk_bytes = 4096;
constexpr std::chrono::milliseconds batch_delay{10};

/// The part of `text` to write next: whole lines where they fit.
std::string_view next_chunk(std::string_view text) {
    if (text.size() <= chunk_bytes) return text;
    auto end = text.rfind('\n', chunk_bytes - 1);
    return text.substr(0, end == std::string_view::npos ? chunk_bytes : end + 1);
}

}  // namespace

struct LogSink::State {
    State(int descriptor, std::size_t max_bytes) : descriptor(descriptor), max_bytes(max_bytes) {}

    void drop_oldest_half() {
        auto half = pending.find('\n', pending.size() / 2);
        auto end = pending.begin() + static_cast<std::ptrdiff_t>(half + 1);
        auto lines = static_cast<std::uint64_t>(std::count(pending.begin(), end, '\n'));
        pending.erase(pending.begin(), end);
        dropped += lines;
        dropped_untold += lines;
    }

    void run() {
        // Signals are for threads that can answer them; a closed pipe must not end the process.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        std::unique_lock lock(mutex);
        while (!stopping || !pending.empty()) {
            ready.wait(lock, [&] { return stopping || !pending.empty(); });
            // Many lines a write: a wake-up for each would cost more than the line.
            ready.wait_for(lock, batch_delay, [&] { return stopping || urgent; });
            urgent = false;
            writing.clear();
            writing.swap(pending);
            std::uint64_t batch_end = accepted;
            std::uint64_t lost = std::exchange(dropped_untold, 0);
            lock.unlock();
            if (lost > 0) writing.insert(0, loss_line(lost));
            bool taken = write_out();
            lock.lock();
            if (!taken) break;
            written = batch_end;
            drained.notify_all();
        }
    }

    std::string loss_line(std::uint64_t lost) const {
        auto now = std::chrono::floor<microseconds>(std::chrono::system_clock::now());
        return format_log_line(
            format, now, Level::warn, "log", "lines were dropped", {{"count", lost}}
        );
    }

    /// False when the process stops and nobody reads.
    bool write_out() {
        std::string_view rest = writing;
        while (!rest.empty()) {
            pollfd poll_for{descriptor, POLLOUT, 0};
            int writable = ::poll(&poll_for, 1, 100);
            if (writable == 0 && stopping) return false;
            if (writable <= 0) continue;
            auto chunk = next_chunk(rest);
            ssize_t n = ::write(descriptor, chunk.data(), chunk.size());
            if (n >= 0) {
                rest.remove_prefix(static_cast<std::size_t>(n));
            } else if (errno != EINTR && errno != EAGAIN) {
                return true;  // closed: nobody will ever read it
            }
        }
        return true;
    }

    const int descriptor;
    const std::size_t max_bytes;
    std::atomic<Level> level = Level::info;
    std::atomic<LogFormat> format = LogFormat::json;
    std::mutex mutex;
    std::condition_variable ready;
    std::condition_variable drained;
    std::string pending;
    std::string writing;         // the writer's own
    std::uint64_t accepted = 0;  // lines ever
    std::uint64_t written = 0;   // of these, handed over or dropped
    std::uint64_t dropped = 0;
    std::uint64_t dropped_untold = 0;
    bool urgent = false;
    std::atomic<bool> stopping = false;
    std::thread writer;
};

LogSink& LogSink::instance() {
    static LogSink sink(STDERR_FILENO, std::size_t{4} << 20);
    return sink;
}

LogSink::LogSink(int descriptor, std::size_t max_bytes)
    : state_(std::make_unique<State>(descriptor, max_bytes)) {
    state_->writer = std::thread([state = state_.get()] { state->run(); });
    pthread_setname_np(state_->writer.native_handle(), "souk-log");
}

LogSink::~LogSink() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
        state_->ready.notify_one();
    }
    state_->writer.join();
}

void LogSink::set_level(Level level) {
    state_->level = level;
}

bool LogSink::enabled(Level level) const {
    return level >= state_->level.load(std::memory_order_relaxed);
}

void LogSink::set_format(LogFormat format) {
    state_->format = format;
}

LogFormat LogSink::format() const {
    return state_->format;
}

void LogSink::write(std::string_view line, Level level) {
    if (line.size() > state_->max_bytes) return;
    std::lock_guard lock(state_->mutex);
    while (state_->pending.size() + line.size() > state_->max_bytes)
        state_->drop_oldest_half();
    bool was_empty = state_->pending.empty();
    state_->pending.append(line);
    ++state_->accepted;
    // What tells of trouble is written at once: the process may be about to die of it.
    if (level >= Level::warn) state_->urgent = true;
    if (was_empty || state_->urgent) state_->ready.notify_one();
}

bool LogSink::flush(std::chrono::milliseconds patience) {
    std::unique_lock lock(state_->mutex);
    std::uint64_t target = state_->accepted;
    state_->urgent = true;
    state_->ready.notify_one();
    return state_->drained.wait_for(lock, patience, [&] { return state_->written >= target; });
}

std::uint64_t LogSink::dropped() const {
    std::lock_guard lock(state_->mutex);
    return state_->dropped;
}

}  // namespace souk::base
