// The connections that transactions own while they run: `transactions` of them for sure, more from
// the process' budget while transactions wait, given back when they have been idle. A worker a
// connection: it connects, takes what waits, runs it again when it may succeed then.
#pragma once

#include "database/postgres/attempt.hpp"
#include "database/postgres/link.hpp"
#include "souk/background.hpp"

#include <deque>
#include <set>

namespace souk::database::postgres {

class Pool : public std::enable_shared_from_this<Pool> {
public:
    Pool(
        std::shared_ptr<const Connector> connector,
        std::size_t sure,
        std::shared_ptr<ConnectionBudget> budget
    );
    ~Pool();

    /// Connects the first one.
    Task<Result<void>> open();
    /// Keeps the sure ones until close().
    void run();
    void close();
    /// The server has been found silent: idle connections are made anew, the rest end by their
    /// deadlines.
    void doubt(const Error& why);

    std::string fault() const { return fault_.words(); }
    void add(std::shared_ptr<TransactCall> call);
    /// Looks after deadlines. False when there is nothing to look after.
    bool check();

private:
    class Worker;
    using Calls = std::deque<std::shared_ptr<TransactCall>>;

    std::shared_ptr<Worker> make_worker(bool sure);
    void start(std::shared_ptr<Worker> worker);
    std::shared_ptr<TransactCall> next();
    void wake_one();
    void pass_on();
    void add_worker();
    void again(std::shared_ptr<TransactCall> call);
    void go_away(const Error& why);
    bool any_usable() const;

    std::shared_ptr<const Connector> connector_;
    const std::size_t sure_;
    std::shared_ptr<ConnectionBudget> budget_;
    Fault fault_;
    Calls waiting_;
    std::set<std::shared_ptr<Worker>> workers_;
    std::vector<Worker*> idle_;
    std::size_t starting_ = 0;  // extra workers that connect
    bool closed_ = false;
};

}  // namespace souk::database::postgres
