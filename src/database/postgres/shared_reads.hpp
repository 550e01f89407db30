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

    SharedReads(std::shared_ptr<const Connector> connector, std::size_t limit, Elsewhere elsewhere);

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
    /// Answers those whose deadline has passed. False when nobody waits.
    bool check();

private:
    static Task<void> keep(std::shared_ptr<SharedReads> self);
    std::function<void()> on_lost();
    bool send(const std::shared_ptr<QueryCall>& call);
    void take(const std::shared_ptr<QueryCall>& call, Answer answer);
    void again(std::shared_ptr<QueryCall> call);
    void go_away(const Error& why);
    void flush_soon();
    void forget_answered();

    std::shared_ptr<const Connector> connector_;
    const std::size_t limit_;  // in the pipeline at once
    Elsewhere elsewhere_;
    Link link_;
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
