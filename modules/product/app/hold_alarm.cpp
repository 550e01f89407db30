#include "app/hold_alarm.hpp"

#include "store/stock.hpp"

namespace souk::product::app {

Task<Result<std::int64_t>> check_old_holds(
    Services& services, milliseconds age, Deadline deadline
) {
    const Timestamp before = services.clock.now() - age;
    auto count = co_await store::count_old_holds(services.database, before, deadline);
    if (!count) co_return count.error();
    if (*count > 0) services.log.warn("holds are older than they should be", {{"count", *count}});
    co_return *count;
}

Task<void> watch_old_holds(Services& services, milliseconds age, Gauge& gauge) {
    const Deadline deadline(services.clock, seconds(5));
    auto count = co_await check_old_holds(services, age, deadline);
    if (count) gauge.set(static_cast<double>(*count));
}

}  // namespace souk::product::app
