// A thread that owns a connection: connects, and again when it is lost, runs jobs on it in their
// order, and hands on what arrives. All waiting for the broker happens here, in real time.
#pragma once

#include "base/signal.hpp"
#include "events/rabbitmq/connection.hpp"
#include "souk/async.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace souk::events::rabbitmq {

/// Called on the link's thread.
struct LinkHooks {
    std::function<void(Connection&)> connected;  // before any job; may throw `Failure`
    std::function<void(std::vector<Incoming>)> received;
    std::function<void(bool up)> changed;
};

class Link {
public:
    struct Job {
        std::function<void(Connection&)> run;    // what it throws costs the connection
        std::function<void(const Error&)> fail;  // there is no connection, or it was lost
    };

    Link(std::string name, Address address, LinkHooks hooks);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    /// Connects; returns when that has succeeded or failed. From then on it stays connected as well
    /// as it can; after a failure it is of no use. Errors: `unavailable` "rabbitmq".
    Task<Result<void>> open();
    /// From any thread. Fails the job at once when there is no connection or too many wait.
    void submit(Job job);
    /// Ends at once, as a crash would; what was under way is lost. Lets go of the hooks.
    void abandon();
    /// Runs what has been submitted, then closes in good order; `ended` says when.
    void finish();
    bool ended() const;
    bool up() const;
    /// Why it is not up, in words; empty when it is.
    std::string fault() const;

    /// Runs `work` on the link's thread. Errors: `unavailable` "rabbitmq", and those of `work`.
    template <class T>
    Task<Result<T>> call(std::function<Result<T>(Connection&)> work) {
        auto executor = co_await this_executor();
        auto answer = std::make_shared<Answer<T>>(base::Signal::make(executor));
        Job job;
        job.run = [answer, work = std::move(work)](Connection& connection) {
            answer->value.emplace(work(connection));
            answer->signal->set();
        };
        job.fail = [answer](const Error& error) {
            answer->value.emplace(error);
            answer->signal->set();
        };
        submit(std::move(job));
        const bool answered = co_await answer->signal->wait();
        if (!answered) co_return unavailable("rabbitmq", "nobody waits any more");
        co_return std::move(*answer->value);
    }

private:
    template <class T>
    struct Answer {
        explicit Answer(std::shared_ptr<base::Signal> signal) : signal(std::move(signal)) {}
        std::shared_ptr<base::Signal> signal;
        std::optional<Result<T>> value;
    };
    struct State;
    void end_thread();

    std::unique_ptr<State> state_;
};

}  // namespace souk::events::rabbitmq
