#include "events/upkeep.hpp"

#include "souk/log.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace souk::events {
namespace {

constexpr std::chrono::hours inbox_age{7 * 24};
constexpr std::chrono::minutes inbox_interval{1};
constexpr std::int64_t inbox_page = 500;
constexpr int inbox_pages = 200;

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

}  // namespace

Task<void> Upkeep::run(std::shared_ptr<Upkeep> self) {
    BusContext& bus = *self->bus_;
    while (!bus.stopping) {
        for (const auto& inbox : self->inboxes_) {
            Result<void> pruned = co_await self->prune(inbox);
            if (!pruned)
                logger().warn(
                    "inbox not pruned",
                    {{"consumer", inbox->consumer()}, {"error", pruned.error().detail}}
                );
        }
        if (!bus.stopping) co_await self->wakeup_.wait(inbox_interval);
    }
    bus.end_loop();
}

Task<Result<void>> Upkeep::prune(std::shared_ptr<Inbox> inbox) {
    Timestamp before = bus_->clock.now() - inbox_age;
    std::string after;
    for (int page = 0; page < inbox_pages && !bus_->stopping; ++page) {
        Result<std::string> next = co_await inbox->prune(before, after, inbox_page);
        if (!next) co_return next.error();
        if (next->empty()) break;
        after = std::move(*next);
    }
    co_return Result<void>();
}

}  // namespace souk::events
