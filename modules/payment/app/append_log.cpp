#include "app/append_log.hpp"

#include "souk/failpoint.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace souk::payment::app {

namespace {

using Timer = asio::basic_waitable_timer<
    std::chrono::steady_clock,
    asio::wait_traits<std::chrono::steady_clock>,
    Executor>;

constexpr std::chrono::milliseconds lock_poll{1};
constexpr int lock_polls = 5000;  // then whoever holds it is stopped, and must not stop our pool

Error fault_of(std::string_view what, const std::filesystem::path& file, std::string_view why) {
    return unavailable("provider_books", fmt::format("{} {}: {}", what, file.string(), why));
}

Error failed(std::string_view what, const std::filesystem::path& file) {
    return fault_of(what, file, std::strerror(errno));
}

/// Held by the open file, so that the kernel frees it when the process dies.
class FileLock {
public:
    explicit FileLock(int descriptor) : descriptor_(descriptor) {
        for (int i = 0; i < lock_polls && !held_; ++i) {
            held_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
            if (!held_ && errno != EWOULDBLOCK && errno != EINTR) return;
            if (!held_) std::this_thread::sleep_for(lock_poll);
        }
    }
    ~FileLock() {
        if (held_) ::flock(descriptor_, LOCK_UN);
    }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    bool held() const { return held_; }

private:
    int descriptor_;
    bool held_ = false;
};

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() { ::close(number_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

private:
    int number_;
};

struct Entry {
    Entry(std::string line, AppendLog::Wanted wanted, std::function<void()> settled)
        : line(std::move(line)), wanted(std::move(wanted)), settled(std::move(settled)) {}
    std::string line;
    AppendLog::Wanted wanted;
    std::function<void()> settled;
};

/// The lines that share one fdatasync.
struct Batch {
    explicit Batch(const Executor& executor) : done(executor, Timer::time_point::max()) {}
    std::vector<Entry> entries;
    Timer done;  // never expires: its cancellation wakes who waits
    bool finished = false;
    Result<void> result;
};

}  // namespace

struct AppendLog::State {
    State(Executor executor, BlockingPool& pool, std::filesystem::path file, Reader reader)
        : executor(executor)
        , pool(pool)
        , file(std::move(file))
        , reader(std::move(reader))
        , next(std::make_shared<Batch>(executor)) {}
    ~State() { close(); }

    /// On the pool: reads what is new, then appends. Whatever fails leaves the file suspect.
    Result<void> write(const std::vector<Entry>& entries);
    /// On the pool, by a descriptor of its own: what is durable never changes.
    Result<void> read_again(off_t at, std::size_t most, const Reader& told);

    Result<void> write_locked(const std::vector<Entry>& entries);
    Result<void> read_new();
    Result<std::string> read_tail() const;
    Result<void> feed(std::string_view lines);
    Result<void> write_at_end(std::string_view bytes);
    Result<void> sync();
    void close();

    Executor executor;
    BlockingPool& pool;
    const std::filesystem::path file;

    std::mutex turn;  // for what follows: one thread of the pool at a time
    const Reader reader;
    int descriptor = -1;
    off_t size = 0;        // of what is durable and was read
    bool suspect = false;  // what lies beyond `size` may be in memory and not on the disk

    mutable std::mutex fault_mutex;
    std::string fault;

    // On the executor.
    std::shared_ptr<Batch> next;
    bool flushing = false;
};

void AppendLog::State::close() {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
}

Result<void> AppendLog::State::write(const std::vector<Entry>& entries) {
    std::lock_guard mine(turn);
    auto done = write_locked(entries);
    if (!done) {
        suspect = true;
        close();
    }
    std::lock_guard lock(fault_mutex);
    fault = done ? std::string() : done.error().detail;
    return done;
}

Result<void> AppendLog::State::write_locked(const std::vector<Entry>& entries) {
    if (descriptor < 0) descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return failed("cannot open", file);
    FileLock lock(descriptor);
    if (!lock.held()) return failed("cannot lock", file);
    auto read = read_new();
    if (!read) return read;
    std::string bytes;
    for (const Entry& entry : entries)
        if (entry.wanted()) bytes += entry.line + '\n';
    if (bytes.empty()) return Result<void>();
    auto written = write_at_end(bytes);
    if (written) written = sync();
    if (written) return feed(bytes);
    // Whoever comes next shall not take for a fact what we must call unknown. If even this fails,
    // the lines that are whole become facts for everybody, us included.
    if (::ftruncate(descriptor, size) == 0) ::fdatasync(descriptor);
    return written;
}

/// What others have written since, or we ourselves before a failure.
Result<void> AppendLog::State::read_new() {
    auto tail = read_tail();
    if (!tail) return tail.error();
    const auto end = tail->rfind('\n');
    const auto whole = std::string_view(*tail).substr(0, end == std::string::npos ? 0 : end + 1);
    if (tail->empty() && !suspect) return Result<void>();
    // We hold the lock: nobody is writing the rest of that line any more.
    const auto keep = size + static_cast<off_t>(whole.size());
    if (whole.size() < tail->size() && ::ftruncate(descriptor, keep) != 0)
        return failed("cannot mend", file);
    // After a failed fdatasync the kernel calls pages clean that are not on the disk: asking it
    // again would lie, writing them again does not.
    if (suspect) {
        auto written = write_at_end(whole);
        if (!written) return written;
    }
    auto synced = sync();
    if (!synced) return synced;
    suspect = false;
    return feed(whole);
}

Result<std::string> AppendLog::State::read_tail() const {
    struct stat info {};
    if (::fstat(descriptor, &info) != 0) return failed("cannot look at", file);
    if (info.st_nlink == 0 || info.st_size < size)
        return fault_of("lost lines of", file, "it was cut or removed while it was in use");
    std::string text;
    char buffer[1 << 16];
    for (;;) {
        const auto at = size + static_cast<off_t>(text.size());
        const auto got = ::pread(descriptor, buffer, sizeof buffer, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("cannot read", file);
        if (got == 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

Result<void> AppendLog::State::read_again(off_t at, std::size_t most, const Reader& told) {
    off_t end = 0;
    {
        std::lock_guard mine(turn);
        end = size;
    }
    const int own = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (own < 0) return failed("cannot open", file);
    const Descriptor closed_at_end(own);
    std::string text;  // what was read and not told yet, from `at` on
    char buffer[1 << 14];
    for (std::size_t lines = 0; lines < most;) {
        const auto from = at + static_cast<off_t>(text.size());
        const auto wanted = static_cast<std::size_t>(std::min<off_t>(sizeof buffer, end - from));
        if (wanted == 0) break;
        const auto got = ::pread(own, buffer, wanted, from);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return failed("cannot read", file);
        text.append(buffer, static_cast<std::size_t>(got));
        std::string_view left = text;
        for (; lines < most && left.find('\n') != std::string_view::npos; ++lines) {
            const auto line = left.substr(0, left.find('\n'));
            auto taken = told(line, at);
            if (!taken) return taken;
            at += static_cast<off_t>(line.size() + 1);
            left.remove_prefix(line.size() + 1);
        }
        text.erase(0, text.size() - left.size());
    }
    return Result<void>();
}

Result<void> AppendLog::State::feed(std::string_view lines) {
    while (!lines.empty()) {
        const auto end = lines.find('\n');
        auto read = reader(lines.substr(0, end), size);
        if (!read)
            return fault_of("cannot understand", file, fmt::format("what stands at {}", size));
        size += static_cast<off_t>(end + 1);
        lines.remove_prefix(end + 1);
    }
    return Result<void>();
}

Result<void> AppendLog::State::write_at_end(std::string_view bytes) {
    for (std::size_t written = 0; written < bytes.size();) {
        const auto at = size + static_cast<off_t>(written);
        const auto n = ::pwrite(descriptor, bytes.data() + written, bytes.size() - written, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed("cannot write", file);
        written += static_cast<std::size_t>(n);
    }
    return Result<void>();
}

Result<void> AppendLog::State::sync() {
    if (failpoint::hit("payment.books_sync")) return fault_of("cannot sync", file, "failpoint");
    if (::fdatasync(descriptor) != 0) return failed("cannot sync", file);
    return Result<void>();
}

namespace {

/// Writes batch after batch until none waits. A coroutine of its own, so that the cancellation of
/// one appender does not touch the others.
template <class State>
Task<void> flush(std::shared_ptr<State> state) {
    while (!state->next->entries.empty()) {
        auto batch = std::exchange(state->next, std::make_shared<Batch>(state->executor));
        std::function<void()> job = [state, batch] {
            batch->result = state->write(batch->entries);
        };
        auto ran = co_await state->pool.run(std::move(job));
        if (!ran) batch->result = ran.error();
        for (auto& entry : batch->entries)
            entry.settled();
        batch->finished = true;
        batch->done.cancel();
    }
    state->flushing = false;
}

}  // namespace

AppendLog::AppendLog(
    Executor executor, BlockingPool& pool, std::filesystem::path file, Reader reader
)
    : state_(std::make_shared<State>(executor, pool, std::move(file), std::move(reader))) {}

Task<Result<void>> AppendLog::catch_up() {
    auto state = state_;
    auto result = std::make_shared<Result<void>>();
    std::function<void()> job = [state, result] { *result = state->write(std::vector<Entry>()); };
    auto ran = co_await state->pool.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return *result;
}

Task<Result<void>> AppendLog::read_again(std::int64_t at, std::size_t most, Reader reader) {
    auto state = state_;
    auto result = std::make_shared<Result<void>>();
    std::function<void()> job = [state, result, at, most, reader = std::move(reader)] {
        *result = state->read_again(at, most, reader);
    };
    auto ran = co_await state->pool.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return *result;
}

Task<Result<void>> AppendLog::append(
    std::string line, Wanted wanted, std::function<void()> settled
) {
    auto state = state_;
    auto batch = state->next;
    batch->entries.emplace_back(std::move(line), std::move(wanted), std::move(settled));
    if (!state->flushing) {
        state->flushing = true;
        spawn(state->executor, [state] { return flush(state); });
    }
    boost::system::error_code ignored;
    auto token = asio::redirect_error(use_task, ignored);
    co_await batch->done.async_wait(token);
    if (!batch->finished)
        co_return Error(ErrorKind::timeout, "cancelled", "stopped while the line was written");
    co_return batch->result;
}

std::string AppendLog::fault() const {
    std::lock_guard lock(state_->fault_mutex);
    return state_->fault;
}

}  // namespace souk::payment::app
