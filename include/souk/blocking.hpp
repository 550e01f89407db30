// A bounded pool of threads for work that blocks or burns a core (password hashing, fsync), so that
// no I/O thread ever does.
#pragma once

#include "souk/async.hpp"
#include "souk/error.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace souk {

class BlockingPool {
public:
    /// `queue_limit`: how many jobs may wait; the next one is refused.
    BlockingPool(std::string_view name, std::size_t threads, std::size_t queue_limit);
    ~BlockingPool();  // finishes what runs, abandons what waits
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Runs `job` on the pool and resumes on the awaiting coroutine's executor. `job` must own what
    /// it uses: the awaiting coroutine may be cancelled. Errors: `unavailable` "busy" when the
    /// queue is full. An exception of the job is rethrown here.
    Task<Result<void>> run(std::function<void()> job);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace souk
