#include "database/postgres/worker.hpp"

#include "souk/failpoint.hpp"

#include <fmt/format.h>

namespace souk::database::postgres {
namespace {

constexpr Statement rollback_statement{"postgres.rollback", "ROLLBACK"};

constexpr int runs_limit = 6;
constexpr milliseconds rerun_pause{10};
constexpr auto idle_limit = seconds(10);
constexpr auto for_ever = std::chrono::hours(24);
// How long a ROLLBACK may take, before the connection is given up.
constexpr auto end_limit = seconds(1);

Error commit_unknown(std::string_view why) {
    return unavailable(
        "commit_unknown",
        fmt::format("the connection broke during COMMIT, it may have happened: {}", why)
    );
}

void run_hooks(const std::vector<std::function<void()>>& hooks) {
    for (const auto& hook : hooks)
        hook();
}

}  // namespace

Pool::Worker::Worker(Pool& pool, bool sure)
    : pool_(pool)
    , sure_(sure)
    , clock_(pool_.connector_->clock)
    , link_(pool_.connector_)
    , wakeup_(pool_.connector_->home, clock_) {}

void Pool::Worker::close() {
    closed_ = true;
    link_.close();
    wakeup_.notify();
}

void Pool::Worker::leave_server() {
    link_.close();
    wakeup_.notify();
}

bool Pool::Worker::check() {
    // Its answers then come as lost.
    if (attempt_ && !attempt_->check()) link_.close();
    if (give_up_at_ && clock_.steady() >= *give_up_at_) link_.close();
    return attempt_ != nullptr || give_up_at_.has_value();
}

Task<Result<void>> Pool::Worker::connect() {
    auto lost = [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->wake();
    };
    std::function<void()> on_lost = std::move(lost);
    auto connected = co_await link_.connect(std::move(on_lost));
    co_return connected;
}

Task<void> Pool::Worker::run(std::shared_ptr<Worker> self, std::shared_ptr<Pool> pool) {
    while (!self->closed_) {
        if (!self->usable()) {
            pool->pass_on();
            if (!self->sure_ && std::exchange(self->started_, true)) break;
            bool connected = co_await self->reconnect();
            if (self->closed_) break;
            if (!connected && !self->sure_) break;
            if (!connected) continue;
        }
        auto call = co_await self->wait_for_work();
        if (self->closed_) break;
        if (call)
            co_await self->serve(call);
        else if (self->usable() && !self->sure_)
            break;
    }
    self->link_.close();
    std::erase(pool->idle_, self.get());
    pool->workers_.erase(self);
    if (!self->sure_) pool->budget_->give_back();
    pool->pass_on();
}

/// True when there is a connection.
Task<bool> Pool::Worker::reconnect() {
    if (std::exchange(calm_down_, false)) co_await wakeup_.wait(backoff_.next());
    if (closed_) co_return false;
    auto connected = co_await connect();
    if (!sure_) --pool_.starting_;
    if (closed_) co_return false;
    if (connected) {
        pool_.fault_.clear();
        co_return true;
    }
    if (!sure_) co_return false;
    if (!pool_.any_usable()) pool_.go_away(connected.error());
    co_await wakeup_.wait(backoff_.next());
    co_return false;
}

/// None: look at the connection, or the time to be idle is over.
Task<std::shared_ptr<TransactCall>> Pool::Worker::wait_for_work() {
    auto call = pool_.next();
    if (call) co_return call;
    pool_.idle_.push_back(this);
    if (sure_)
        co_await wakeup_.wait(for_ever);
    else
        co_await wakeup_.wait(idle_limit);
    std::erase(pool_.idle_, this);
    if (closed_ || !usable()) co_return nullptr;
    co_return pool_.next();
}

Task<void> Pool::Worker::serve(std::shared_ptr<TransactCall> call) {
    auto attempt = std::make_shared<Attempt>(pool_.connector_->home, clock_, link_.session(), call);
    attempt_ = attempt;
    attempt->start();
    const Attempt::End how = co_await attempt->wait();
    using End = Attempt::End;
    using Commit = Attempt::Commit;
    if (how == End::done && attempt->result() && !attempt->failure() &&
        attempt->commit() == Commit::none && attempt->has_work())
        co_await commit(*attempt);
    attempt_.reset();
    if (attempt->commit() == Commit::unknown) {
        const std::string why = attempt->cause().detail;
        link_.close();
        co_return finish(*call, commit_unknown(why));
    }
    if (attempt->commit() == Commit::done && failpoint::hit("postgres.after_commit")) {
        link_.close();
        co_return finish(*call, commit_unknown("armed failpoint postgres.after_commit"));
    }
    if (how == End::late) finish(*call, late());
    const bool refused = attempt->commit() == Commit::refused;
    if (attempt->begun() && attempt->commit() != Commit::done) co_await roll_back();
    if (how == End::again || how == End::lost || (refused && attempt->worth_a_rerun()))
        co_return co_await run_again(call, attempt->cause());
    if (how != End::done) co_return;
    backoff_.reset();
    if (attempt->failure()) {
        auto failure = attempt->failure();
        auto end = [&] {
            call->body = nullptr;
            call->failure = failure;
        };
        if (call->serve(end)) call->answer();
        co_return;
    }
    auto result = attempt->result();
    if (result && refused) result = attempt->cause();
    if (result) run_hooks(attempt->take_hooks());
    finish(*call, std::move(result));
}

Task<void> Pool::Worker::commit(Attempt& attempt) {
    if (failpoint::hit("postgres.before_commit"))
        attempt.break_off("armed failpoint postgres.before_commit");
    else
        co_await attempt.finish();
}

Task<void> Pool::Worker::roll_back() {
    if (!usable()) co_return;
    auto answer = co_await ask_bounded(rollback_statement, clock_.steady() + end_limit);
    if (answer.outcome != Answer::Outcome::ok) link_.close();
}

Task<Answer> Pool::Worker::ask_bounded(const Statement& statement, SteadyTime until) {
    auto session = link_.session();
    if (!session) {  // closed meanwhile
        Answer unsent;
        unsent.sent = false;
        co_return unsent;
    }
    give_up_at_ = until;
    auto answer = co_await session->ask(statement);
    give_up_at_.reset();
    co_return answer;
}

Task<void> Pool::Worker::run_again(std::shared_ptr<TransactCall> call, Error cause) {
    if (cause.code == "read_only") {  // after a failover: the url may lead to another server now
        link_.close();
        calm_down_ = true;
    }
    if (call->runs >= runs_limit) co_return finish(*call, std::move(cause));
    // At once the first time: who won the race goes on. Who loses again steps aside.
    if (call->runs > 1 && usable()) co_await wakeup_.wait(jittered(rerun_pause * call->runs));
    if (call->deadline.passed(clock_)) co_return finish(*call, late());
    pool_.again(std::move(call));
}

}  // namespace souk::database::postgres
