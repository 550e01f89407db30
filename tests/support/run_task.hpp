// Runs one coroutine to its end on a context of its own: how a test awaits.
#pragma once

#include "souk/async.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace souk::test {

template <class T>
T run_task(asio::io_context& context, Task<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
        failure = error;
        if (!error) result.emplace(std::move(value));
    });
    context.restart();
    context.run();
    if (failure) std::rethrow_exception(failure);
    if (!result) throw std::logic_error("the context ran dry before the coroutine ended");
    return std::move(*result);
}

inline void run_task(asio::io_context& context, Task<void> task) {
    std::exception_ptr failure;
    bool ended = false;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) {
        failure = error;
        ended = true;
    });
    context.restart();
    context.run();
    if (failure) std::rethrow_exception(failure);
    if (!ended) throw std::logic_error("the context ran dry before the coroutine ended");
}

template <class T>
T run_task(Task<T> task) {
    asio::io_context context;
    return run_task(context, std::move(task));
}

}  // namespace souk::test
