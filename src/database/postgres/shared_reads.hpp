// The connection on which the reads of all requests travel, and its reconnecting. What arrives in
// one turn of the loop goes out in one write under one Sync: reads are idempotent, so what an error
// among them aborts is sent again, then with a Sync each (README.md has the figures).
#pragma once

#include "database/postgres/calls.hpp"
#include "database/postgres/link.hpp"
#include "souk/background.hpp"

#include <deque>

namespace souk::database::postgres {

class SharedReads : public std::enable_shared_from_this<SharedReads> {
public:
    using Calls = std::vector<std::shared_ptr<QueryCall>>;
    /// Takes what this cannot answer; none: such calls wait for the connection, or fail.
    using Elsewhere = std::function<void(std::shared_ptr<QueryCall>)>;
    /// Told that the server answers nobody.
    using OnSilence = std::function<void(const Error&)>;

    /// `statement_timeout`: the server's own, of each statement.
    SharedReads(
        std::shared_ptr<const Connector> connector,
        std::size_t limit,
        milliseconds statement_timeout,
        Elsewhere elsewhere,
        OnSilence on_silence
    );

    /// Connects for the first time.
    Task<Result<void>> open();
    /// Keeps the connection until close().
    void run();
    void close();

    bool usable() const { return link_.usable(); }
    std::string fault() const { return fault_.words(); }
    void add(std::shared_ptr<QueryCall> call);
    /// Adds and sends it: what another connection could not answer.
    void add_now(std::shared_ptr<QueryCall> call);
    /// Sends what was added.
    void flush();
    /// Answers those whose deadline has passed, leaves a server that is silent. False when nobody
    /// waits.
    bool check();

private:
    static Task<void> keep(std::shared_ptr<SharedReads> self);
    static Task<void> probe(std::shared_ptr<SharedReads> self, std::shared_ptr<Session> silent);
    std::function<void()> on_lost();
    bool look_for_silence();
    void give_up();
    void hand_over();
    bool send(const std::shared_ptr<QueryCall>& call);
    void take(const std::shared_ptr<QueryCall>& call, Answer answer);
    void again(std::shared_ptr<QueryCall> call);
    void go_away(const Error& why);
    void flush_soon();
    void forget_answered();

    std::shared_ptr<const Connector> connector_;
    const std::size_t limit_;  // in the pipeline at once
    const milliseconds silence_limit_;
    Elsewhere elsewhere_;
    OnSilence on_silence_;
    Link link_;
    Link probe_;  // whether a silent server answers others
    bool probing_ = false;
    microseconds probe_at_{0};  // of silence
    Fault fault_;
    Wakeup wakeup_;
    Backoff backoff_;
    std::deque<std::shared_ptr<QueryCall>> waiting_;
    std::deque<std::shared_ptr<QueryCall>> again_;  // with a Sync each
    std::deque<std::shared_ptr<QueryCall>> sent_;   // some of them answered by now
    bool flushing_ = false;
    bool closed_ = false;
};

}  // namespace souk::database::postgres
