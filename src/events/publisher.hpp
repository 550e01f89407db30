// One publisher's database as the bus sees it: watches the outbox for all consumers with one query,
// saves their cursors together and deletes what nobody needs any more.
#pragma once

#include "events/delivery.hpp"
#include "souk/pace.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souk::events {

class Publisher {
public:
    Publisher(std::shared_ptr<BusContext> bus, std::string name, Database& database);

    void add(std::shared_ptr<Inbox> inbox);
    Task<Result<void>> open();
    /// Until the bus stops. Keeps `self` alive.
    static Task<void> run(std::shared_ptr<Publisher> self);

    /// Looks for new events and tells the deliveries; returns the newest. Errors: the database's.
    Task<Result<std::int64_t>> look();
    Task<Result<void>> save_cursors();
    Task<Result<void>> prune();

    void notify() { wakeup_.notify(); }
    void notify_deliveries();
    /// Whether every consumer has handled all up to `seq`.
    bool passed(std::int64_t seq) const;

    const std::string& name() const { return name_; }
    BusStore& store() { return *store_; }
    const std::vector<std::shared_ptr<Delivery>>& deliveries() const { return deliveries_; }

private:
    Task<void> loop();

    std::shared_ptr<BusContext> bus_;
    std::string name_;
    std::shared_ptr<BusStore> store_;
    Wakeup wakeup_;
    Pace pace_;
    std::vector<std::shared_ptr<Delivery>> deliveries_;
    SteadyTime saved_at_{};
    SteadyTime pruned_at_{};
};

}  // namespace souk::events
