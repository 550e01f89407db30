// What waits on one thread, and until when. One coroutine a thread sleeps until the earliest of
// them and ends those whose time is up, where a timer each would cost every call two of them.
#pragma once

#include "souk/background.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace souk::base {
class Signal;
}

namespace souk::peers {

class Expiries : public std::enable_shared_from_this<Expiries> {
public:
    /// Stands in the frame of the coroutine that waits. `end` must make it go on, and is called
    /// once at most; it may not resume it at once.
    class Entry {
    public:
        Entry(Expiries& expiries, SteadyTime at, std::function<void()> end);
        ~Entry();
        Entry(const Entry&) = delete;
        bool is_over() const { return over_; }
        /// Another time than before.
        void move(SteadyTime at);

    private:
        friend class Expiries;
        void end();
        std::shared_ptr<Expiries> expiries_;
        std::size_t index_;
        SteadyTime at_;
        std::function<void()> end_;
        bool over_ = false;
    };

    /// `upkeep` runs at each wake, and at least every `pace` while somebody waits or it says that
    /// it has something to keep.
    Expiries(Executor executor, Clock& clock, milliseconds pace, std::function<bool()> upkeep);

    /// On the executor, like all else here.
    void start();
    /// Ends all that wait, and what begins to.
    Task<void> stop();

private:
    Task<void> run(std::shared_ptr<Expiries> self);
    SteadyTime end_what_is_due(SteadyTime now);

    Executor executor_;
    Clock& clock_;
    const milliseconds pace_;
    std::function<bool()> upkeep_;
    Wakeup wakeup_;
    std::vector<Entry*> entries_;
    SteadyTime awake_at_ = SteadyTime{};
    bool stopping_ = false;
    std::shared_ptr<base::Signal> ended_;  // null until it runs
};

}  // namespace souk::peers
