// One connection for transactions and the coroutine that serves it.
#pragma once

#include "database/postgres/pool.hpp"

namespace souk::database::postgres {

class Pool::Worker : public std::enable_shared_from_this<Pool::Worker> {
public:
    Worker(Pool& pool, bool sure);

    Task<Result<void>> connect();
    static Task<void> run(std::shared_ptr<Worker> self, std::shared_ptr<Pool> pool);
    bool usable() const { return link_.usable(); }
    bool sure() const { return sure_; }
    void wake() { wakeup_.notify(); }
    void close();
    /// Closes the connection and connects anew.
    void leave_server();
    /// Ends what takes too long. False when it does nothing.
    bool check();

private:
    Task<void> serve(std::shared_ptr<TransactCall> call);
    Task<void> commit(Attempt& attempt);
    Task<void> roll_back();
    Task<Answer> ask_bounded(const Statement& statement, SteadyTime until);
    Task<bool> reconnect();
    Task<std::shared_ptr<TransactCall>> wait_for_work();
    Task<void> run_again(std::shared_ptr<TransactCall> call, Error cause);

    Pool& pool_;  // kept by run()
    const bool sure_;
    Clock& clock_;
    Link link_;
    Wakeup wakeup_;
    Backoff backoff_;
    std::shared_ptr<Attempt> attempt_;
    std::optional<SteadyTime> give_up_at_;  // on the ROLLBACK under way
    bool calm_down_ = false;                // before the next connect, or run
    bool started_ = false;
    bool closed_ = false;
};

}  // namespace souk::database::postgres
