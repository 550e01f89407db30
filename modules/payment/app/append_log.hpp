// A file of lines that several processes append to and read, durable once append() returns. Each
// write is made under a lock of the file, after what others wrote has been read, so that all see
// one order of lines. Many appends share one write and one fdatasync on the blocking pool (group
// commit), so that no I/O thread waits for the disk.
#pragma once

#include "souk/async.hpp"
#include "souk/blocking.hpp"
#include "souk/error.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace souk::payment::app {

class AppendLog {
public:
    /// Is told each durable line of the file once, in their order, whoever wrote it, and where it
    /// begins; on a thread of the pool, one call at a time. An error stops the reading before that
    /// line.
    using Reader = std::function<Result<void>(std::string_view line, std::int64_t at)>;
    /// Whether a line shall still be written, asked when the reader knows all that precedes it.
    using Wanted = std::function<bool()>;

    /// `reader` and what it refers to live as long as a job on the pool may run.
    AppendLog(Executor executor, BlockingPool& pool, std::filesystem::path file, Reader reader);

    /// Opens or creates the file where need be and reads what is new in it; a half-written last
    /// line is cut off. After a failure it opens the file anew and writes what it cannot be sure of
    /// once more, so that it becomes durable. From any executor. Errors: `unavailable`
    /// "provider_books".
    Task<Result<void>> catch_up();
    /// Appends `line` and a newline if it is `wanted`; on the executor only. `settled` is called in
    /// the end, even when the awaiting coroutine is cancelled meanwhile. Errors: `unavailable`
    /// "provider_books": the line may be there or not.
    Task<Result<void>> append(std::string line, Wanted wanted, std::function<void()> settled);

    /// Tells `reader` once more what stands from `at` on, where a line begins: up to `most` lines
    /// of what is known to be durable. Appends go on meanwhile. From any executor. Errors:
    /// `unavailable` "provider_books".
    Task<Result<void>> read_again(std::int64_t at, std::size_t most, Reader reader);

    /// Why the last write, or look for what is new, failed; empty when it did not. Any thread.
    std::string fault() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace souk::payment::app
