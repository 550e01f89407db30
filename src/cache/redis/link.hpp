// One connection to Redis that many coroutines share: what they ask within a turn of the loop goes
// out in one write, answers come back in the order of the questions. It connects again by itself.
// While it is away, or too much is under way, a call is answered `away` at once; else after the
// timeout at the latest.
#pragma once

#include "cache/redis/address.hpp"
#include "cache/redis/call.hpp"
#include "cache/redis/transport.hpp"
#include "souk/background.hpp"
#include "souk/clock.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::cache {

struct LinkOptions {
    RedisAddress address;
    std::filesystem::path password_file;
    std::filesystem::path ca_file;
    milliseconds timeout{250};
    std::string name;     // in CLIENT LIST
    std::string channel;  // to subscribe to; then it is for on_message only
};

/// What its owner wants to know. Called on the link's executor, never after close() has run there.
struct LinkEvents {
    std::function<void()> on_up;
    std::function<void()> on_down;
    std::function<void(std::string_view)> on_message;
};

/// How much is packed into a write.
struct LinkMetrics {
    explicit LinkMetrics(Metrics& metrics);
    Counter& commands;
    Counter& writes;
};

class Link : public std::enable_shared_from_this<Link> {
public:
    /// What it refers to must live until `home` has run for the last time.
    Link(Executor home, Clock& clock, LinkMetrics metrics, LinkOptions options, LinkEvents events);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    /// Connects; returns when that has come to something. Errors: those of open_redis(), after
    /// which it does not try again. No server is none.
    Task<Result<void>> open();
    /// From any thread; ends on the executor later.
    void close();

    /// From any thread, answered on the caller's.
    Task<Reply> call(std::string command);
    /// Empty when connected. Any thread.
    std::string fault() const;
    /// The server refused what was asked: told in fault() until it is connected anew. Any thread.
    void complain(const Reply& error);
    bool up() const { return up_; }

private:
    class Session;
    struct Asked {
        std::shared_ptr<Call> call;
        std::string command;
    };

    // On any thread.
    bool enqueue(std::shared_ptr<Call> call, std::string command);
    void set_fault(std::string text);

    // On the executor.
    static Task<void> run(std::shared_ptr<Link> self);
    static Task<void> watch(std::shared_ptr<Link> self);
    static Task<void> write(std::shared_ptr<Link> self, std::shared_ptr<Transport> transport);
    Task<std::optional<Error>> session();
    Task<std::optional<Error>> greet(Transport& transport);
    Task<void> serve(Transport& transport);
    Task<std::optional<Error>> subscribe(Transport& transport);
    Task<Reply> ask(Transport& transport, std::vector<std::string_view> words);
    Result<std::string> password() const;
    void send_queued();
    void come_up();
    void go_down();
    bool dispatch(Reply reply);
    void look_after();
    void answer_overdue(SteadyTime now);
    void ping(SteadyTime now);
    void conclude_first_attempt(std::optional<Error> error);
    void report(const Error& error);

    const Executor home_;
    Clock& clock_;
    const LinkMetrics metrics_;
    const LinkOptions options_;
    const LinkEvents events_;
    const Logger log_{"redis"};

    std::atomic<bool> up_ = false;
    std::atomic<bool> closed_ = false;
    std::atomic<std::size_t> under_way_ = 0;     // commands that are queued or not answered yet
    std::atomic<std::size_t> bytes_queued_ = 0;  // not written yet
    mutable std::mutex mutex_;
    std::vector<Asked> queue_;
    std::string fault_ = "not connected yet";

    // On the executor only. The transport belongs to the session's coroutine: no socket here, since
    // the link may be destroyed after its context.
    std::weak_ptr<Transport> transport_;
    Wakeup pause_;  // between attempts
    Wakeup tick_;   // of the watch
    std::unique_ptr<ReplyParser> parser_;
    std::deque<std::shared_ptr<Call>> waiting_;  // in the order of their commands
    std::string outgoing_;
    bool writing_ = false;
    SteadyTime attempt_ends_ = SteadyTime::max();
    SteadyTime last_heard_{};
    std::shared_ptr<Call> opener_;
    std::optional<Error> first_error_;
};

}  // namespace souk::cache
