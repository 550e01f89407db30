// One publisher's events on their way to one consumer: a loop that reads behind a cursor, hands
// batches to the inbox, and takes what fails again later, while the aggregates that did not fail go
// on. See README.md for the rules of retry.
#pragma once

#include "events/bus_store.hpp"
#include "events/handling.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

namespace souk::events {

class Delivery {
public:
    Delivery(
        std::shared_ptr<BusContext> bus,
        std::string publisher,
        std::shared_ptr<BusStore> store,
        std::shared_ptr<Inbox> inbox
    );

    /// Finds where it had stopped. Call before run(). Errors: the database's.
    Task<Result<void>> open();
    /// Until the bus stops. Keeps `self` alive.
    static Task<void> run(std::shared_ptr<Delivery> self);

    const std::string& consumer() const { return inbox_->consumer(); }
    /// The outbox holds events up to `seq`.
    void announce(std::int64_t seq);
    void notify() { wakeup_.notify(); }
    /// Whether all events up to `seq` have been handled or are dead.
    bool passed(std::int64_t seq) const {
        return position_ >= seq && !rows_changed_ && waiting_.rows == 0;
    }
    /// Somebody else changed the delivery rows.
    void rows_changed();
    /// The seq, when it is not in the database yet.
    std::optional<Cursor> unsaved() const;
    void saved(std::int64_t seq) { saved_ = std::max(saved_, seq); }

private:
    Task<void> loop();
    Task<void> pause();
    Task<Result<bool>> step();
    Task<Result<void>> load_waiting();
    Task<Result<void>> take_new();
    Task<Result<void>> retry_due();
    Task<Result<void>> settle(Pass& pass);
    Settlement settlement_of(const Pass& pass) const;
    bool may_take_new() const;
    microseconds until_due() const;

    std::shared_ptr<BusContext> bus_;
    std::string publisher_;
    std::shared_ptr<BusStore> store_;
    std::shared_ptr<Inbox> inbox_;
    Handling handling_;
    Wakeup wakeup_;
    Gauge& lag_;

    std::int64_t head_ = 0;      // newest event known
    std::int64_t position_ = 0;  // all up to here are handled or have a delivery row
    std::int64_t saved_ = 0;     // the cursor in the database
    Waiting waiting_;
    bool rows_changed_ = true;   // `waiting_` is not what the database holds
    bool retried_last_ = false;  // so that new events have their turn, too
    int outages_ = 0;            // in a row
};

}  // namespace souk::events
