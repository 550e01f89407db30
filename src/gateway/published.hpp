// A value that one task publishes now and then and all I/O threads read all the time. A reader
// compares one number that changes only with a publication, and otherwise touches only what is its
// own thread's: no lock, no contended reference count. (libstdc++ 12's std::atomic<shared_ptr>
// unlocks its reads with a relaxed store, which ThreadSanitizer rightly calls a race, and writes to
// a shared cache line on every read.)
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace souk::gateway {

template <class T>
class Published {
public:
    explicit Published(std::shared_ptr<const T> value) { publish(std::move(value)); }

    void publish(std::shared_ptr<const T> value) {
        std::lock_guard lock(mutex_);
        value_ = std::move(value);
        // Unique among all objects of the type, since they share the readers' copies.
        static std::atomic<std::uint64_t> last{0};
        version_.store(++last, std::memory_order_release);
    }

    /// Valid until the calling thread reads again: never keep it across a `co_await`.
    const T& read() const {
        thread_local Copy copy;
        if (copy.version != version_.load(std::memory_order_acquire)) refresh(copy);
        return *copy.value;
    }

private:
    struct Copy {
        std::uint64_t version = 0;
        std::shared_ptr<const T> value;
    };

    void refresh(Copy& copy) const {
        std::lock_guard lock(mutex_);
        copy.value = value_;
        copy.version = version_.load(std::memory_order_relaxed);
    }

    mutable std::mutex mutex_;  // taken only when the value has changed
    std::shared_ptr<const T> value_;
    std::atomic<std::uint64_t> version_{0};
};

}  // namespace souk::gateway
