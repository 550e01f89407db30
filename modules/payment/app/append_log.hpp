// A file of lines that are durable once append() returns. Many appends share one write and one
// fdatasync on the blocking pool (group commit), so that no I/O thread waits for the disk.
#pragma once

#include "souk/async.hpp"
#include "souk/blocking.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace souk::payment::app {

class AppendLog {
public:
    AppendLog(Executor executor, BlockingPool& pool, std::filesystem::path file);

    /// Opens or creates the file and returns its whole lines; a half-written last one is cut off.
    /// Errors: `unavailable` "provider_books".
    Task<Result<std::string>> open();
    /// Appends `line` and a newline; on the executor only. `settled` is told whether the line is
    /// durable, even when the awaiting coroutine is cancelled meanwhile. Errors: `unavailable`
    /// "provider_books"; after a failed fdatasync every later one, until the file is opened again.
    Task<Result<void>> append(std::string line, std::function<void(bool durable)> settled);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace souk::payment::app
