#include "app/append_log.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

namespace souk::payment::app {

namespace {

using Timer = asio::basic_waitable_timer<
    std::chrono::steady_clock,
    asio::wait_traits<std::chrono::steady_clock>,
    Executor>;

Error failed(std::string_view what, const std::filesystem::path& file) {
    return unavailable(
        "provider_books", fmt::format("{} {}: {}", what, file.string(), std::strerror(errno))
    );
}

/// The lines that share one fdatasync.
struct Batch {
    explicit Batch(const Executor& executor) : done(executor, Timer::time_point::max()) {}
    std::string bytes;
    std::vector<std::function<void(bool)>> settled;
    Timer done;  // never expires: its cancellation wakes who waits
    bool finished = false;
    Result<void> result;
};

}  // namespace

struct AppendLog::State {
    State(Executor executor, BlockingPool& pool, std::filesystem::path file)
        : executor(executor)
        , pool(pool)
        , file(std::move(file))
        , next(std::make_shared<Batch>(executor)) {}
    ~State() {
        if (descriptor >= 0) ::close(descriptor);
    }

    // On the pool, one call at a time.
    Result<std::string> open_file();
    Result<void> write(const std::string& bytes);

    Executor executor;
    BlockingPool& pool;
    std::filesystem::path file;
    int descriptor = -1;
    off_t size = 0;       // of what is durable
    bool broken = false;  // what the file holds beyond `size` is unknown

    // On the executor.
    std::shared_ptr<Batch> next;
    bool flushing = false;
};

Result<std::string> AppendLog::State::open_file() {
    descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return failed("cannot open", file);
    std::string text;
    char buffer[1 << 16];
    ssize_t got = 0;
    while ((got = ::pread(descriptor, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0)
        text.append(buffer, static_cast<std::size_t>(got));
    if (got < 0) return failed("cannot read", file);
    auto last = text.rfind('\n');
    text.resize(last == std::string::npos ? 0 : last + 1);
    size = static_cast<off_t>(text.size());
    if (::ftruncate(descriptor, size) != 0 || ::fdatasync(descriptor) != 0)
        return failed("cannot mend", file);
    return text;
}

Result<void> AppendLog::State::write(const std::string& bytes) {
    if (broken) return unavailable("provider_books", "the provider's file failed before");
    std::size_t written = 0;
    while (written < bytes.size()) {
        auto at = size + static_cast<off_t>(written);
        auto n = ::pwrite(descriptor, bytes.data() + written, bytes.size() - written, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            auto error = failed("cannot write", file);
            broken = ::ftruncate(descriptor, size) != 0;
            return error;
        }
        written += static_cast<std::size_t>(n);
    }
    if (::fdatasync(descriptor) != 0) {
        broken = true;  // the kernel may have dropped the pages: asking again would lie
        return failed("cannot sync", file);
    }
    size += static_cast<off_t>(bytes.size());
    return Result<void>();
}

namespace {

/// Writes batch after batch until none waits. A coroutine of its own, so that the cancellation of
/// one appender does not touch the others.
template <class State>
Task<void> flush(std::shared_ptr<State> state) {
    while (!state->next->bytes.empty()) {
        auto batch = std::exchange(state->next, std::make_shared<Batch>(state->executor));
        std::function<void()> job = [state, batch] { batch->result = state->write(batch->bytes); };
        auto ran = co_await state->pool.run(std::move(job));
        if (!ran) batch->result = ran.error();
        for (auto& settled : batch->settled)
            settled(batch->result.has_value());
        batch->finished = true;
        batch->done.cancel();
    }
    state->flushing = false;
}

}  // namespace

AppendLog::AppendLog(Executor executor, BlockingPool& pool, std::filesystem::path file)
    : state_(std::make_shared<State>(executor, pool, std::move(file))) {}

Task<Result<std::string>> AppendLog::open() {
    auto state = state_;
    auto text = std::make_shared<Result<std::string>>(std::string());
    std::function<void()> job = [state, text] { *text = state->open_file(); };
    auto ran = co_await state->pool.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return std::move(*text);
}

Task<Result<void>> AppendLog::append(std::string line, std::function<void(bool)> settled) {
    auto state = state_;
    auto batch = state->next;
    batch->bytes += line;
    batch->bytes += '\n';
    batch->settled.push_back(std::move(settled));
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

}  // namespace souk::payment::app
