#include "events/rabbitmq/link.hpp"

#include "events/backoff.hpp"
#include "souk/log.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr std::size_t job_limit = 1024;
constexpr milliseconds reconnect_base{100};
constexpr milliseconds reconnect_cap{2000};
constexpr int pulse_ms = 1000;  // well below the heartbeat
// What the thread gets to see that it shall end before its socket is shut under it.
constexpr milliseconds grace{200};

const Logger& logger() {
    static const Logger log("rabbitmq");
    return log;
}

class WakeDescriptor {
public:
    WakeDescriptor() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (descriptor_ < 0) throw std::runtime_error("no eventfd");
    }
    ~WakeDescriptor() { close(descriptor_); }
    WakeDescriptor(const WakeDescriptor&) = delete;
    WakeDescriptor& operator=(const WakeDescriptor&) = delete;

    void set() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] auto written = write(descriptor_, &one, sizeof one);
    }
    /// Until set, or `socket` (-1: none) can be read, or the time is over.
    void wait(int socket, int timeout_ms) const {
        std::array<pollfd, 2> both{};
        both[0].fd = descriptor_;
        both[0].events = POLLIN;
        both[1].fd = socket;
        both[1].events = POLLIN;
        poll(both.data(), both.size(), timeout_ms);
        std::uint64_t count = 0;
        [[maybe_unused]] auto taken = read(descriptor_, &count, sizeof count);
    }

private:
    int descriptor_;
};

/// Whatever is thrown costs the connection, never the process.
Error error_of(const std::exception& thrown) {
    if (const auto* failure = dynamic_cast<const Failure*>(&thrown)) return failure->error;
    return unavailable("rabbitmq", thrown.what());
}

}  // namespace

struct Link::State {
    State(std::string name, Address address, LinkHooks hooks)
        : name(std::move(name)), address(std::move(address)), hooks(std::move(hooks)) {}

    void run(const std::function<void(const Result<void>&)>& opened);
    void connect();
    void serve();
    void run_jobs();
    void drop(const Error& error);
    void wait_to_reconnect(int tries);
    std::deque<Job> take_jobs(bool keep_going);

    const std::string name;
    const Address address;
    LinkHooks hooks;
    WakeDescriptor wake;
    std::thread thread;

    mutable std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    Error error{ErrorKind::unavailable, "rabbitmq", "not connected yet"};
    bool up = false;
    bool abandoned = false;  // end at once
    bool finishing = false;  // end after what has been submitted
    bool ended = false;
    int socket = -1;

    std::unique_ptr<Connection> connection;  // the thread's own
};

void Link::State::run(const std::function<void(const Result<void>&)>& opened) {
    bool first = true;
    int tries = 0;
    for (;;) {
        try {
            connect();
            tries = 0;
            if (first) opened(Result<void>());
            first = false;
            serve();
            break;
        } catch (const std::exception& failure) {
            const Error error = error_of(failure);
            drop(error);
            if (first) {
                opened(error);
                break;
            }
        }
        wait_to_reconnect(++tries);
        std::lock_guard lock(mutex);
        if (abandoned || finishing) break;
    }
    drop(unavailable("rabbitmq", "the bus has stopped"));
    std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
    if (hooks.changed) hooks.changed(false);
}

void Link::State::connect() {
    connection = std::make_unique<Connection>(address);
    {
        std::lock_guard lock(mutex);
        socket = connection->socket();
        if (abandoned) throw Failure(unavailable("rabbitmq", "the bus has stopped"));
    }
    if (hooks.connected) hooks.connected(*connection);
    {
        std::lock_guard lock(mutex);
        up = true;
    }
    logger().info("connected", {{"link", name}, {"broker", address.text()}});
    if (hooks.changed) hooks.changed(true);
}

/// Returns when it shall end.
void Link::State::serve() {
    for (;;) {
        run_jobs();
        std::vector<Incoming> arrived = connection->receive();
        if (!arrived.empty() && hooks.received) hooks.received(std::move(arrived));
        {
            std::lock_guard lock(mutex);
            if (abandoned) return;
            if (!jobs.empty()) continue;
            if (finishing) break;
        }
        wake.wait(connection->socket(), pulse_ms);
    }
    connection->close();
}

void Link::State::run_jobs() {
    for (;;) {
        Job job;
        {
            std::lock_guard lock(mutex);
            if (jobs.empty() || abandoned) return;
            job = std::move(jobs.front());
            jobs.pop_front();
        }
        try {
            job.run(*connection);
        } catch (const std::exception& failure) {
            if (job.fail) job.fail(error_of(failure));
            throw;
        }
    }
}

void Link::State::drop(const Error& why) {
    std::deque<Job> left;
    bool was_up = false;
    bool news = false;
    {
        std::lock_guard lock(mutex);
        news = why.detail != error.detail && !abandoned && !finishing;
        error = why;
        was_up = std::exchange(up, false);
        left.swap(jobs);
        socket = -1;
    }
    connection.reset();
    for (const Job& job : left)
        if (job.fail) job.fail(why);
    if (news) logger().warn("disconnected", {{"link", name}, {"error", why.detail}});
    if (was_up && hooks.changed) hooks.changed(false);
}

void Link::State::wait_to_reconnect(int tries) {
    auto delay = full_jitter(reconnect_base, tries, reconnect_cap);
    std::unique_lock lock(mutex);
    changed.wait_for(lock, delay, [this] { return abandoned || finishing; });
}

Link::Link(std::string name, Address address, LinkHooks hooks)
    : state_(std::make_unique<State>(std::move(name), std::move(address), std::move(hooks))) {}

Link::~Link() {
    abandon();
}

void Link::abandon() {
    if (state_->thread.joinable()) end_thread();
    // They may own what owns this link.
    const LinkHooks unused = std::exchange(state_->hooks, LinkHooks());
}

void Link::end_thread() {
    {
        std::unique_lock lock(state_->mutex);
        state_->abandoned = true;
        state_->wake.set();
        state_->changed.notify_all();
        state_->changed.wait_for(lock, grace, [this] { return state_->ended; });
        if (!state_->ended && state_->socket >= 0) shutdown(state_->socket, SHUT_RDWR);
    }
    state_->thread.join();
}

Task<Result<void>> Link::open() {
    auto executor = co_await this_executor();
    auto answer = std::make_shared<Answer<void>>(base::Signal::make(executor));
    std::function<void(const Result<void>&)> opened = [answer](const Result<void>& result) {
        answer->value.emplace(result);
        answer->signal->set();
    };
    state_->thread = std::thread([state = state_.get(), opened] { state->run(opened); });
    pthread_setname_np(state_->thread.native_handle(), "rabbitmq");
    const bool answered = co_await answer->signal->wait();
    if (!answered) co_return unavailable("rabbitmq", "nobody waits any more");
    co_return std::move(*answer->value);
}

void Link::submit(Job job) {
    Error error = unavailable("rabbitmq", "too much is waiting for RabbitMQ");
    {
        std::lock_guard lock(state_->mutex);
        const bool room = state_->jobs.size() < job_limit;
        if (state_->up && room && !state_->ended) {
            state_->jobs.push_back(std::move(job));
            state_->wake.set();
            return;
        }
        if (!state_->up) error = state_->error;
    }
    if (job.fail) job.fail(error);
}

void Link::finish() {
    std::lock_guard lock(state_->mutex);
    state_->finishing = true;
    state_->wake.set();
    state_->changed.notify_all();
}

bool Link::ended() const {
    std::lock_guard lock(state_->mutex);
    return state_->ended || !state_->thread.joinable();
}

bool Link::up() const {
    std::lock_guard lock(state_->mutex);
    return state_->up;
}

std::string Link::fault() const {
    std::lock_guard lock(state_->mutex);
    return state_->up ? std::string() : state_->error.detail;
}

}  // namespace souk::events::rabbitmq
