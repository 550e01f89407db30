#include "peers/expiries.hpp"

#include "base/signal.hpp"

#include <algorithm>

namespace souk::peers {

Expiries::Entry::Entry(Expiries& expiries, SteadyTime at, std::function<void()> end)
    : expiries_(expiries.shared_from_this())
    , index_(expiries.entries_.size())
    , at_(at)
    , end_(std::move(end)) {
    expiries.entries_.push_back(this);
    if (expiries.stopping_) this->end();  // the parameter is empty now
    if (at < expiries.awake_at_) expiries.wakeup_.notify();
}

Expiries::Entry::~Entry() {
    auto& entries = expiries_->entries_;
    entries[index_] = entries.back();
    entries[index_]->index_ = index_;
    entries.pop_back();
}

void Expiries::Entry::move(SteadyTime at) {
    at_ = at;
    if (at < expiries_->awake_at_) expiries_->wakeup_.notify();
}

void Expiries::Entry::end() {
    over_ = true;
    end_();
}

Expiries::Expiries(Executor executor, Clock& clock, milliseconds pace, std::function<bool()> upkeep)
    : executor_(executor)
    , clock_(clock)
    , pace_(std::max(pace, milliseconds(1)))  // the loop must let others run
    , upkeep_(std::move(upkeep))
    , wakeup_(executor, clock) {}

void Expiries::start() {
    if (ended_) return;
    ended_ = base::Signal::make(executor_);
    spawn(executor_, [self = shared_from_this()] { return self->run(self); });
}

Task<void> Expiries::stop() {
    stopping_ = true;
    for (Entry* entry : entries_)
        if (!entry->over_) entry->end();
    wakeup_.notify();
    if (ended_) co_await ended_->wait();
    upkeep_ = nullptr;
}

Task<void> Expiries::run([[maybe_unused]] std::shared_ptr<Expiries> self) {
    while (!stopping_) {
        const SteadyTime now = clock_.steady();
        awake_at_ = end_what_is_due(now);
        const bool more = upkeep_() || !entries_.empty();
        if (more) awake_at_ = std::min(awake_at_, now + pace_);
        const bool for_ever = awake_at_ == SteadyTime::max();
        co_await wakeup_.wait(for_ever ? microseconds::max() : awake_at_ - now);
    }
    ended_->set();
}

/// The time of the earliest of the others.
SteadyTime Expiries::end_what_is_due(SteadyTime now) {
    SteadyTime next = SteadyTime::max();
    for (Entry* entry : entries_) {
        if (entry->over_) continue;
        if (entry->at_ > now) {
            next = std::min(next, entry->at_);
            continue;
        }
        entry->end();
    }
    return next;
}

}  // namespace souk::peers
