#include "base/virtual_clock.hpp"

#include "base/signal.hpp"

#include <boost/asio/this_coro.hpp>

#include <map>
#include <mutex>
#include <vector>

namespace souk::base {

struct VirtualClock::State {
    using Sleepers = std::multimap<SteadyTime, std::shared_ptr<Signal>>;

    explicit State(Timestamp start) : now(start) {}
    void forget(const std::shared_ptr<Signal>& signal) {
        std::lock_guard lock(mutex);
        std::erase_if(sleepers, [&](const auto& entry) { return entry.second == signal; });
    }

    mutable std::mutex mutex;
    Timestamp now;
    SteadyTime steady{};
    Sleepers sleepers;
};

namespace {

/// Takes a sleeper out however its coroutine ends: woken, cancelled or destroyed.
template <class State>
struct Sleeping {
    Sleeping(std::shared_ptr<State> state, std::shared_ptr<Signal> signal)
        : state(std::move(state)), signal(std::move(signal)) {}
    ~Sleeping() { state->forget(signal); }
    Sleeping(const Sleeping&) = delete;
    Sleeping& operator=(const Sleeping&) = delete;

    std::shared_ptr<State> state;
    std::shared_ptr<Signal> signal;
};

}  // namespace

VirtualClock::VirtualClock(Timestamp start) : state_(std::make_shared<State>(start)) {}
VirtualClock::~VirtualClock() = default;

Timestamp VirtualClock::now() const {
    std::lock_guard lock(state_->mutex);
    return state_->now;
}

SteadyTime VirtualClock::steady() const {
    std::lock_guard lock(state_->mutex);
    return state_->steady;
}

Task<bool> VirtualClock::sleep(microseconds duration) {
    if (duration <= microseconds(0)) co_return true;
    Executor executor = co_await asio::this_coro::executor;
    Sleeping<State> entry(state_, Signal::make(executor));
    {
        std::lock_guard lock(entry.state->mutex);
        SteadyTime now = entry.state->steady;
        SteadyTime due = duration > SteadyTime::max() - now ? SteadyTime::max() : now + duration;
        entry.state->sleepers.emplace(due, entry.signal);
    }
    co_return co_await entry.signal->wait();
}

void VirtualClock::advance(microseconds duration) {
    // Under the lock, so that no sleeper's context can go away before its signal is set.
    std::lock_guard lock(state_->mutex);
    state_->now += duration;
    state_->steady += duration;
    auto end = state_->sleepers.upper_bound(state_->steady);
    for (auto it = state_->sleepers.begin(); it != end; ++it)
        it->second->set();
    state_->sleepers.erase(state_->sleepers.begin(), end);
}

void VirtualClock::step_wall(microseconds by) {
    std::lock_guard lock(state_->mutex);
    state_->now += by;
}

std::size_t VirtualClock::sleepers() const {
    std::lock_guard lock(state_->mutex);
    return state_->sleepers.size();
}

}  // namespace souk::base
