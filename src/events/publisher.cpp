#include "events/publisher.hpp"

#include "souk/log.hpp"

#include <utility>

namespace souk::events {
namespace {

// A crash repeats at most what was handled since; the inbox knows all of it.
constexpr milliseconds save_interval{100};
constexpr seconds prune_interval{60};
constexpr std::chrono::hours outbox_age{1};
constexpr std::int64_t prune_page = 500;
constexpr int prune_pages = 200;  // in one go, so that the loop comes back to its deliveries

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

void warn(std::string_view what, const std::string& publisher, const Error& error) {
    logger().warn(what, {{"publisher", publisher}, {"code", error.code}, {"error", error.detail}});
}

}  // namespace

Publisher::Publisher(std::shared_ptr<BusContext> bus, std::string name, Database& database)
    : bus_(std::move(bus))
    , name_(std::move(name))
    , store_(std::make_shared<BusStore>(database, bus_->clock))
    , wakeup_(bus_->executor, bus_->clock)
    , pace_(wakeup_, bus_->clock, bus_->options.gather, [bus = bus_.get()] {
        return bus->stopping;
    }) {}

void Publisher::add(std::shared_ptr<Inbox> inbox) {
    deliveries_.push_back(std::make_shared<Delivery>(bus_, name_, store_, std::move(inbox)));
}

Task<Result<void>> Publisher::open() {
    for (const auto& delivery : deliveries_) {
        Result<void> opened = co_await delivery->open();
        if (!opened) co_return opened;
    }
    co_return Result<void>();
}

Task<void> Publisher::run(std::shared_ptr<Publisher> self) {
    co_await self->loop();
    self->bus_->end_loop();
}

Task<void> Publisher::loop() {
    while (!bus_->stopping) {
        co_await pace_.next();
        Result<std::int64_t> head = co_await look();
        if (!head) warn("outbox unreadable", name_, head.error());
        SteadyTime now = bus_->clock.steady();
        if (!bus_->stopping && now - saved_at_ >= save_interval) {
            saved_at_ = now;
            Result<void> saved = co_await save_cursors();
            if (!saved) warn("cursors not saved", name_, saved.error());
        }
        if (!bus_->stopping && now - pruned_at_ >= prune_interval) {
            pruned_at_ = now;
            Result<void> pruned = co_await prune();
            if (!pruned) warn("outbox not pruned", name_, pruned.error());
        }
        if (!bus_->stopping) co_await wakeup_.wait(bus_->options.poll);
    }
}

Task<Result<std::int64_t>> Publisher::look() {
    Result<std::int64_t> head = co_await store_->head();
    if (!head) co_return head;
    for (const auto& delivery : deliveries_)
        delivery->announce(*head);
    co_return head;
}

Task<Result<void>> Publisher::save_cursors() {
    std::vector<Cursor> cursors;
    std::vector<std::shared_ptr<Delivery>> moved;
    for (const auto& delivery : deliveries_) {
        std::optional<Cursor> cursor = delivery->unsaved();
        if (!cursor) continue;
        cursors.push_back(std::move(*cursor));
        moved.push_back(delivery);
    }
    if (cursors.empty()) co_return Result<void>();
    std::vector<Cursor> written = cursors;
    Result<void> saved = co_await store_->save_cursors(std::move(cursors));
    if (!saved) co_return saved;
    for (std::size_t i = 0; i < moved.size(); ++i)
        moved[i]->saved(written[i].seq);
    co_return saved;
}

Task<Result<void>> Publisher::prune() {
    Timestamp before = bus_->clock.now() - outbox_age;
    std::int64_t after = 0;
    for (int page = 0; page < prune_pages && !bus_->stopping; ++page) {
        Result<std::int64_t> next = co_await store_->prune(before, after, prune_page);
        if (!next) co_return next.error();
        if (*next == 0) break;
        after = *next;
    }
    co_return Result<void>();
}

void Publisher::notify_deliveries() {
    for (const auto& delivery : deliveries_)
        delivery->notify();
}

bool Publisher::passed(std::int64_t seq) const {
    for (const auto& delivery : deliveries_)
        if (!delivery->passed(seq)) return false;
    return true;
}

}  // namespace souk::events
