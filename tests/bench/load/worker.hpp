// One thread of load: its connections, its share of the requests, and what came of them. Edge
// triggered epoll, one send() and one recv() an answer, nothing shared with other threads: the
// generator takes its CPU from what it measures.
#pragma once

#include "bench/load/histogram.hpp"
#include "bench/load/plan.hpp"
#include "bench/load/response.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souk::bench {

struct Totals {
    Histogram latencies;         // of expected answers, measured
    std::uint64_t requests = 0;  // expected answers, measured
    std::uint64_t total = 0;     // expected answers, warming up and after the end included
    std::map<int, std::uint64_t> statuses;  // measured
    std::uint64_t bytes = 0;                // received, measured
    std::uint64_t faults = 0;               // at any time
    std::uint64_t reconnects = 0;
    Nanoseconds measured = 0;  // how long
    Nanoseconds cpu = 0;       // of this thread meanwhile
    std::string first_fault;

    void add(const Totals& other);
};

class Worker {
public:
    Worker(const Plan& plan, unsigned index);
    ~Worker();

    /// Opens all connections; throws std::runtime_error when one cannot be.
    void connect();
    /// From `start` until all is answered or given up.
    void run(Nanoseconds start);

    const Totals& totals() const { return totals_; }
    std::uint64_t answered() const { return answered_.load(std::memory_order_relaxed); }

private:
    enum class State { closed, connecting, idle, waiting };
    struct Connection {
        State state = State::closed;
        int socket = -1;
        std::size_t target = 0;
        std::uint64_t request = 0;  // which, of all threads'
        Nanoseconds from = 0;       // its latency counts from here
        Nanoseconds sent = 0;
        std::string unsent;
        ResponseReader reader;
    };

    void start_at(Nanoseconds start);
    void note_phase(Nanoseconds now);
    bool may_issue(Nanoseconds now) const;
    bool finished(Nanoseconds now) const;
    void issue(Nanoseconds now);
    void send(Connection& connection, Nanoseconds from, Nanoseconds now);
    void flush(Connection& connection);
    Nanoseconds next_wake(Nanoseconds now) const;
    void wait(Nanoseconds at_most);
    void on_event(Connection& connection, std::uint32_t events);
    void receive(Connection& connection, bool ends);
    void answered(Connection& connection, bool ends);
    bool is_measured(const Connection& connection, Nanoseconds now) const;
    void open(Connection& connection);
    void on_connected(Connection& connection);
    void reopen(Connection& connection, const char* why);
    void close(Connection& connection);
    void sweep(Nanoseconds now);
    void fault(const std::string& what, std::uint64_t times = 1);
    RenderedRequest& rendered(const Connection& connection);

    const Plan& plan_;
    const unsigned index_;
    int epoll_ = -1;
    std::deque<Connection> connections_;
    std::deque<Connection*> idle_;                        // the one that rested longest is next
    std::vector<std::vector<RenderedRequest>> rendered_;  // by target
    std::vector<char> buffer_;
    std::optional<Schedule> schedule_;  // of an open loop
    Nanoseconds begin_ = 0;             // what is measured begins
    Nanoseconds end_ = 0;
    Nanoseconds next_sweep_ = 0;
    Nanoseconds last_alive_ = 0;
    Nanoseconds last_answer_ = 0;
    Nanoseconds cpu_at_begin_ = 0;
    bool begun_ = false;
    bool ended_ = false;
    std::uint64_t next_ = 0;           // own requests issued
    std::uint64_t limit_ = 0;          // own requests to issue: open loop or by count
    std::uint64_t measured_from_ = 0;  // of own requests: open loop or by count
    std::size_t waiting_ = 0;
    std::atomic<std::uint64_t> answered_ = 0;
    Totals totals_;
};

}  // namespace souk::bench
