// The coroutine vocabulary of souk. Everything that may wait is a `Task<T>` that runs on one
// `io_context` thread; the concrete executor type (instead of `any_io_executor`) is cheaper both to
// compile and to run (see src/README.md, "Measured").
//
// GCC 12 destroys some temporaries twice around `co_await` (tests/architecture greps for them):
// never write a braced aggregate, a lambda with non-trivial captures or a class-type ternary inside
// an expression with `co_await`; name it first, then `std::move` it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>

namespace souk {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;

template <class T = void>
using Task = asio::awaitable<T, Executor>;

inline constexpr asio::use_awaitable_t<Executor> use_task{};

/// The executor of the coroutine that awaits this.
inline auto this_executor() {
    return asio::this_coro::executor;
}

/// Starts `work` on `executor` and forgets it. An exception that leaves `work` ends the process:
/// a background task that dies silently would be worse.
void spawn(const Executor& executor, std::function<Task<void>()> work);

}  // namespace souk
