// The worker: leases due attempts in batches, has up to `limit` of them with the provider at the
// same time, and settles each definite answer. An outcome that is unknown is asked again under the
// same attempt id after a jittered delay, for ever. What the process loses by dying, the lease
// brings back.
#pragma once

#include "app/provider.hpp"
#include "app/settle.hpp"
#include "domain/payment.hpp"
#include "souk/background.hpp"
#include "souk/database.hpp"
#include "souk/events.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"
#include "souk/pace.hpp"

#include <memory>
#include <set>

namespace souk::payment::app {

struct WorkerOptions {
    WorkerOptions(std::size_t limit, microseconds step_timeout)
        : limit(limit), step_timeout(step_timeout) {}
    std::size_t limit;          // attempts with the provider at the same time
    microseconds step_timeout;  // how long one send may take
};

class Worker : public std::enable_shared_from_this<Worker> {
public:
    Worker(
        WorkerOptions options,
        Executor executor,
        Database& database,
        Bus& bus,
        Clock& clock,
        Logger log,
        Metrics& metrics,
        std::shared_ptr<Provider> provider
    );

    void start();
    /// There may be something due. From any thread, cheap.
    void wake();
    /// Sends nothing more, gives up waiting for answers (their leases end at once) and returns when
    /// all is settled or `deadline` has passed.
    Task<void> stop(Deadline deadline);

private:
    struct Sending;  // one attempt in hand; its coroutine can be cancelled while it waits

    Task<void> run();
    Task<bool> provider_is_usable();
    Task<std::size_t> claim(std::size_t limit);
    void send(domain::Attempt attempt);
    Task<void> process(domain::Attempt attempt, std::shared_ptr<Sending> sending);
    Task<void> process_step(domain::Attempt attempt, std::shared_ptr<Sending> sending);
    Task<Result<Answer>> ask(domain::Attempt attempt);
    Task<void> settle(Answered answered);
    Task<bool> settle_charges(const std::vector<Answered>& charges);
    Task<void> settle_one(const Answered& answered);
    Task<Result<void>> commit(TransactionBody body);
    void count(const Answered& answered);
    void report(const Answered& answered, const Error& error);
    Task<void> postpone(domain::Attempt attempt, Error why);
    Deadline database_deadline() const;
    std::size_t free() const;
    bool many_are_due() const;
    bool all_answered() const;

    WorkerOptions options_;
    Executor executor_;
    Database& database_;
    Bus& bus_;
    Clock& clock_;
    Logger log_;
    std::shared_ptr<Provider> provider_;
    Counter& captured_;
    Counter& declined_;
    Counter& refunded_;
    Counter& unknown_;

    // On the executor.
    Wakeup work_;
    Pace claim_pace_;
    Wakeup answers_;
    Pace settle_pace_;
    Wakeup drained_;
    std::set<std::shared_ptr<Sending>> in_hand_;
    std::vector<Answered> answered_;  // waiting to be settled
    bool settling_ = false;           // somebody does, and takes along what waits
    bool backlog_ = false;            // the last claim was full: more is due
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace souk::payment::app
