#include "app/worker.hpp"

#include "app/settle.hpp"
#include "domain/retry.hpp"
#include "souk/failpoint.hpp"
#include "store/payment_store.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <utility>

namespace souk::payment::app {

namespace {

constexpr microseconds poll = seconds(1);
constexpr microseconds database_timeout = seconds(10);
/// How much longer a lease is than a send: time to commit the answer.
constexpr microseconds lease_margin = seconds(10);

Counter& attempts_total(Metrics& metrics, std::string_view outcome) {
    return metrics.counter(
        "payment_attempts_total", "Answers of the payment provider", {{"outcome", outcome}}
    );
}

/// The database's errors of a body that fills `attempts`.
Task<Result<void>> claim_into(
    Transaction& tx,
    Timestamp now,
    Timestamp until,
    std::size_t limit,
    std::vector<domain::Attempt>& attempts
) {
    auto claimed = co_await store::claim_attempts(tx, now, until, limit);
    if (!claimed) co_return claimed.error();
    attempts = std::move(*claimed);
    co_return Result<void>();
}

Task<Result<void>> settle_alone(Transaction& tx, const Clock& clock, Answered answered) {
    if (answered.attempt.is_refund())
        co_return co_await settle_refund(tx, clock, answered.attempt, answered.answer);
    std::vector<Answered> one;
    one.push_back(std::move(answered));
    co_return co_await settle_charges(tx, clock, one);
}

}  // namespace

struct Worker::Sending {
    asio::cancellation_signal cancel;
};

Worker::Worker(
    WorkerOptions options,
    Executor executor,
    Database& database,
    Bus& bus,
    Clock& clock,
    Logger log,
    Metrics& metrics,
    std::shared_ptr<Provider> provider
)
    : options_(options)
    , executor_(executor)
    , database_(database)
    , bus_(bus)
    , clock_(clock)
    , log_(log)
    , provider_(std::move(provider))
    , captured_(attempts_total(metrics, "captured"))
    , declined_(attempts_total(metrics, "declined"))
    , refunded_(attempts_total(metrics, "refunded"))
    , unknown_(attempts_total(metrics, "unknown"))
    , work_(executor, clock)
    , claim_pace_(work_, clock, usual_pace, [this] { return stopping_ || many_are_due(); })
    , answers_(executor, clock)
    , settle_pace_(answers_, clock, usual_pace, [this] { return stopping_ || all_answered(); })
    , drained_(executor, clock) {}

void Worker::start() {
    running_ = true;
    spawn(executor_, [self = shared_from_this()] { return self->run(); });
}

void Worker::wake() {
    asio::post(executor_, [self = shared_from_this()] { self->work_.notify(); });
}

Task<void> Worker::stop(Deadline deadline) {
    auto self = shared_from_this();
    stopping_ = true;
    work_.notify();
    answers_.notify();
    auto waiting = in_hand_;  // a cancellation may end one and change the set
    for (const auto& sending : waiting)
        sending->cancel.emit(asio::cancellation_type::terminal);
    while ((running_ || !in_hand_.empty()) && !deadline.passed(clock_))
        co_await drained_.wait(deadline.remaining(clock_));
}

Deadline Worker::database_deadline() const {
    return Deadline(clock_, database_timeout);
}

std::size_t Worker::free() const {
    const auto taken = in_hand_.size() + answered_.size();
    return options_.limit - std::min(taken, options_.limit);
}

/// And there is room for a batch of them.
bool Worker::many_are_due() const {
    return backlog_ && 2 * free() >= options_.limit;
}

/// The provider has none any more: only who settles is left.
bool Worker::all_answered() const {
    return in_hand_.size() <= 1;
}

Task<void> Worker::run() {
    while (!stopping_) {
        co_await claim_pace_.next();
        if (stopping_) break;
        const bool usable = co_await provider_is_usable();
        const auto room = free();
        if (usable && room > 0) {
            auto claimed = co_await claim(room);
            backlog_ = claimed == room;
        }
        co_await work_.wait(poll);
    }
    running_ = false;
    drained_.notify();
}

/// What cannot be sent is not claimed: another replica's provider may be well.
Task<bool> Worker::provider_is_usable() {
    if (provider_->fault().empty()) co_return true;
    auto opened = co_await provider_->open();
    if (opened) co_return true;
    log_.warn("the provider cannot be used", {{"error", opened.error().detail}});
    co_return false;
}

Task<std::size_t> Worker::claim(std::size_t limit) {
    std::vector<domain::Attempt> attempts;
    const auto now = clock_.now();
    const auto until = now + options_.step_timeout + lease_margin;
    TransactionBody body = [&](Transaction& tx) {
        return claim_into(tx, now, until, limit, attempts);
    };
    auto committed = co_await database_.transact(body, database_deadline());
    if (!committed) {
        log_.warn("attempts could not be claimed", {{"error", committed.error().detail}});
        co_return 0;
    }
    for (auto& attempt : attempts)
        send(std::move(attempt));
    co_return attempts.size();
}

void Worker::send(domain::Attempt attempt) {
    auto sending = std::make_shared<Sending>();
    in_hand_.insert(sending);
    auto ended = [self = shared_from_this(), sending](const std::exception_ptr&) {
        self->in_hand_.erase(sending);
        if (self->all_answered()) self->answers_.notify();
        if (self->backlog_) self->work_.notify();
        self->drained_.notify();
    };
    auto token = asio::bind_cancellation_slot(sending->cancel.slot(), std::move(ended));
    auto work = process(std::move(attempt), sending);
    asio::co_spawn(executor_, std::move(work), std::move(token));
}

Task<void> Worker::process(domain::Attempt attempt, std::shared_ptr<Sending> sending) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const std::string id = attempt.id;
    try {
        co_await process_step(std::move(attempt), std::move(sending));
    } catch (const std::exception& fault) {
        // The lease brings the attempt back; one broken attempt must not stop the others.
        log_.error("an attempt failed", {{"attempt_id", id}, {"error", fault.what()}});
    }
}

Task<void> Worker::process_step(domain::Attempt attempt, std::shared_ptr<Sending>) {
    if (stopping_ || failpoint::hit("payment.after_claim")) co_return;
    auto answer = co_await ask(attempt);
    // What is known now must be written down: no cancellation from here on.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (failpoint::hit("payment.after_charge")) co_return;
    if (answer)
        co_await settle(Answered(std::move(attempt), *answer));
    else
        co_await postpone(std::move(attempt), answer.error());
}

Task<Result<Answer>> Worker::ask(domain::Attempt attempt) {
    Deadline deadline(clock_, options_.step_timeout);
    if (attempt.is_refund()) {
        RefundRequest request(attempt.id, attempt.charge_id, attempt.total);
        co_return co_await provider_->refund(std::move(request), deadline);
    }
    ChargeRequest request(attempt.id, attempt.order_id, attempt.token, attempt.total);
    co_return co_await provider_->charge(std::move(request), deadline);
}

/// What is answered while one batch is committed makes the next one.
Task<void> Worker::settle(Answered answered) {
    if (answered.attempt.is_refund()) co_return co_await settle_one(answered);
    answered_.push_back(std::move(answered));
    if (std::exchange(settling_, true)) co_return;
    while (!answered_.empty()) {
        co_await settle_pace_.next();
        const std::vector<Answered> batch = std::exchange(answered_, {});
        const bool together = co_await settle_charges(batch);
        for (std::size_t i = 0; !together && i < batch.size(); ++i)
            co_await settle_one(batch[i]);
        if (backlog_) work_.notify();
    }
    settling_ = false;
}

/// False when one of them is in the way of the others.
Task<bool> Worker::settle_charges(const std::vector<Answered>& charges) {
    if (charges.size() == 1) co_return false;
    TransactionBody body = [&](Transaction& tx) {
        return app::settle_charges(tx, clock_, charges);
    };
    auto committed = co_await commit(std::move(body));
    if (!committed && committed.error().kind != ErrorKind::unavailable) co_return false;
    for (const Answered& answered : charges) {
        if (committed)
            count(answered);
        else
            report(answered, committed.error());
    }
    co_return true;
}

Task<void> Worker::settle_one(const Answered& answered) {
    TransactionBody body = [&](Transaction& tx) { return settle_alone(tx, clock_, answered); };
    auto committed = co_await commit(std::move(body));
    if (committed)
        count(answered);
    else
        report(answered, committed.error());
}

/// A fault of the code is no reason to leave the others unsettled.
Task<Result<void>> Worker::commit(TransactionBody body) {
    std::string fault;
    try {
        auto committed = co_await database_.transact(std::move(body), database_deadline());
        if (committed) bus_.wake();
        co_return committed;
    } catch (const std::exception& thrown) {
        fault = thrown.what();
    }
    co_return Error(ErrorKind::internal, "settle_failed", std::move(fault));
}

void Worker::count(const Answered& answered) {
    const bool refund = answered.attempt.is_refund();
    (!answered.answer.done ? declined_ : refund ? refunded_ : captured_).add();
    if (failpoint::hit("payment.after_commit")) log_.warn("armed failpoint payment.after_commit");
}

/// The answer is in the provider's books: the lease brings the attempt back and it repeats.
void Worker::report(const Answered& answered, const Error& error) {
    log_.warn(
        "an answer could not be settled",
        {{"attempt_id", answered.attempt.id}, {"error", error.code}, {"detail", error.detail}}
    );
}

Task<void> Worker::postpone(domain::Attempt attempt, Error why) {
    unknown_.add();
    auto at = clock_.now();
    if (!stopping_) {  // on a stop the next process may ask at once
        at += domain::retry_delay(attempt.id, attempt.tries);
        log_.info(
            "the provider's answer is unknown, the same attempt is sent again",
            {{"attempt_id", attempt.id}, {"tries", attempt.tries}, {"error", why.code}}
        );
    }
    TransactionBody body = [&](Transaction& tx) {
        return store::reschedule_attempt(tx, attempt.id, attempt.tries, at);
    };
    auto committed = co_await database_.transact(body, database_deadline());
    if (!committed) log_.warn("an attempt could not be rescheduled", {{"attempt_id", attempt.id}});
}

}  // namespace souk::payment::app
