#include "database/postgres/shared_reads.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace souk::database::postgres {
namespace {

// First with others, then alone, then on a connection made anew.
constexpr int sendings_limit = 4;
constexpr auto for_ever = std::chrono::hours(24);
// A server that has statements and says nothing for so long is asked by another connection whether
// it lives; the answer may take as long again. Slow statements are silent too.
constexpr milliseconds doubt_after{1000};
constexpr milliseconds grace{1000};  // to the server's own statement_timeout

std::shared_ptr<const Connector> connector_for_probes(const Connector& one) {
    return std::make_shared<const Connector>(
        one.home, one.clock, one.target, one.setup, std::min(one.timeout, doubt_after), one.census
    );
}

}  // namespace

SharedReads::SharedReads(
    std::shared_ptr<const Connector> connector,
    std::size_t limit,
    milliseconds statement_timeout,
    Elsewhere elsewhere,
    OnSilence on_silence
)
    : connector_(connector)
    , limit_(limit)
    , silence_limit_(statement_timeout + grace)
    , elsewhere_(std::move(elsewhere))
    , on_silence_(std::move(on_silence))
    , link_(connector)
    , probe_(connector_for_probes(*connector))
    , wakeup_(connector->home, connector->clock) {}

std::function<void()> SharedReads::on_lost() {
    return [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->wakeup_.notify();
    };
}

Task<Result<void>> SharedReads::open() {
    auto lost = on_lost();
    auto connected = co_await link_.connect(std::move(lost));
    co_return connected;
}

void SharedReads::run() {
    spawn(connector_->home, [self = shared_from_this()] { return keep(self); });
}

Task<void> SharedReads::keep(std::shared_ptr<SharedReads> self) {
    while (!self->closed_) {
        if (self->usable()) {
            co_await self->wakeup_.wait(for_ever);
            continue;
        }
        self->hand_over();
        auto connected = co_await self->open();
        if (self->closed_) co_return self->link_.close();
        if (connected) {
            self->backoff_.reset();
            self->fault_.clear();
            self->flush();
        } else {
            self->go_away(connected.error());
            co_await self->wakeup_.wait(self->backoff_.next());
        }
    }
}

void SharedReads::close() {
    closed_ = true;
    link_.close();
    probe_.close();
    for (auto* calls : {&waiting_, &again_, &sent_}) {
        for (auto& call : *calls)
            finish(*call, stopping());
        calls->clear();
    }
    wakeup_.notify();
}

/// What a replica leaves unanswered is the primary's.
void SharedReads::hand_over() {
    if (!elsewhere_) return;
    for (auto* calls : {&waiting_, &again_})
        for (auto& call : std::exchange(*calls, {}))
            elsewhere_(std::move(call));
}

void SharedReads::go_away(const Error& why) {
    fault_.set(why.detail);
    hand_over();
    auto gone = std::exchange(waiting_, {});
    for (auto& call : std::exchange(again_, {}))
        gone.push_back(std::move(call));
    for (auto& call : gone)
        finish(*call, unavailable("database", why.detail));
}

void SharedReads::add(std::shared_ptr<QueryCall> call) {
    if (closed_) return finish(*call, stopping());
    if (std::string why = usable() ? "" : fault(); !why.empty())
        return finish(*call, unavailable("database", why));
    waiting_.push_back(std::move(call));
}

void SharedReads::add_now(std::shared_ptr<QueryCall> call) {
    add(std::move(call));
    flush_soon();
}

void SharedReads::flush() {
    if (!usable()) return;
    const auto session = link_.session();
    bool sent = false;
    for (; !again_.empty() && session->pending() < limit_; again_.pop_front())
        if (send(again_.front())) session->sync();
    for (; !waiting_.empty() && session->pending() < limit_; waiting_.pop_front())
        sent = send(waiting_.front()) || sent;
    if (sent) session->sync();
    session->flush();
    if (sent_.size() > 2 * limit_) forget_answered();
}

bool SharedReads::send(const std::shared_ptr<QueryCall>& call) {
    if (!call->attended()) return false;
    if (call->deadline.passed(connector_->clock)) {
        finish(*call, too_late());
        return false;
    }
    ++call->sendings;
    auto take_it = [weak = weak_from_this(), call](Answer answer) {
        if (auto self = weak.lock()) self->take(call, std::move(answer));
    };
    // Sent again, it stands on its own: the plan that it would use may be what failed.
    const Statement unnamed{{}, sql_of(call->statement)};
    const Statement& statement = call->sendings == 1 ? call->statement : unnamed;
    try {
        auto sent = link_.session()->send(statement, call->params, std::move(take_it));
        if (!sent) finish(*call, sent.error());
        if (sent) sent_.push_back(call);
        return sent.has_value();
    } catch (...) {
        auto failure = std::current_exception();
        if (call->serve([&] { call->failure = failure; })) call->answer();
        return false;
    }
}

void SharedReads::take(const std::shared_ptr<QueryCall>& call, Answer answer) {
    using Outcome = Answer::Outcome;
    if (answer.outcome == Outcome::ok) {
        finish(*call, std::move(answer.rows));
    } else if (answer.outcome == Outcome::failed && !is_worth_a_rerun(answer.complaint)) {
        finish(*call, error_of(answer.complaint, call->statement.name));
    } else if (answer.outcome == Outcome::aborted && call->sendings < sendings_limit) {
        again(call);
    } else if (elsewhere_) {
        elsewhere_(call);  // the replica broke, or its recovery was in the way
    } else if (call->sendings < sendings_limit && !closed_) {
        again(call);
    } else {
        finish(*call, lost_error(link_.session() ? link_.session()->last_words() : "closed"));
    }
    if (!waiting_.empty() && link_.usable() && link_.session()->pending() < limit_) flush_soon();
}

/// Not at once: others that the same error aborted come along.
void SharedReads::again(std::shared_ptr<QueryCall> call) {
    again_.push_back(std::move(call));
    flush_soon();
}

void SharedReads::flush_soon() {
    if (std::exchange(flushing_, true)) return;
    auto work = [weak = weak_from_this()] {
        auto self = weak.lock();
        if (!self) return;
        self->flushing_ = false;
        self->flush();
    };
    asio::post(connector_->home, std::move(work));
}

void SharedReads::forget_answered() {
    std::erase_if(sent_, [](const auto& call) { return !call->attended(); });
}

bool SharedReads::check() {
    bool attended = false;
    for (auto* calls : {&waiting_, &again_, &sent_}) {
        for (auto& call : *calls)
            if (call->deadline.passed(connector_->clock)) finish(*call, late());
        std::erase_if(*calls, [](const auto& call) { return !call->attended(); });
        attended = attended || !calls->empty();
    }
    return look_for_silence() || attended;
}

/// True while the server owes an answer, though nobody may wait for it any more.
bool SharedReads::look_for_silence() {
    const microseconds silence = usable() ? link_.session()->silence() : microseconds(0);
    if (silence < doubt_after) probe_at_ = doubt_after;
    // It lives, this connection does not: one that answers no more, or does not end a statement.
    if (silence > silence_limit_) give_up();
    if (silence > probe_at_ && !probing_ && usable()) {
        probing_ = true;
        auto ask = [self = shared_from_this(), session = link_.session()] {
            return probe(self, session);
        };
        spawn(connector_->home, std::move(ask));
    }
    return usable() && link_.session()->pending() > 0;
}

Task<void> SharedReads::probe(std::shared_ptr<SharedReads> self, std::shared_ptr<Session> silent) {
    std::function<void()> nobody;
    auto answered = co_await self->probe_.connect(std::move(nobody));
    const auto session = self->probe_.session();
    const bool dead = !answered && session && session->timed_out();
    self->probe_.close();
    self->probing_ = false;
    self->probe_at_ = silent->silence() + doubt_after;
    if (!dead || self->closed_ || silent->silence() < doubt_after) co_return;
    self->go_away(answered.error());
    if (self->on_silence_) self->on_silence_(answered.error());
    self->give_up();
}

/// The answers then come as lost; keep() connects anew.
void SharedReads::give_up() {
    link_.close();
    if (!fault().empty()) go_away(unavailable("database", fault()));
    wakeup_.notify();
}

}  // namespace souk::database::postgres
