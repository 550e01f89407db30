// Who has lost the lease of trying parked events again writes nothing about them.
#include "events/rabbitmq/parked_store.hpp"

#include "base/virtual_clock.hpp"
#include "support/database_fixture.hpp"

#include <catch2/catch.hpp>

#include <utility>
#include <vector>

using namespace souk;
using namespace souk::test;
using events::Lease;
using events::Pending;
using events::Stored;

namespace {

struct Office {
    Office() {
        Stored stored;
        stored.lane = "order/ord_1";
        stored.event = Event("order.placed", "ord_1", 1, "{}");
        stored.event.id = "evt_1";
        std::vector<events::rabbitmq::Parked> one;
        one.emplace_back(stored.event, Pending(stored));
        run_task(store.park(std::move(one))).value();
    }
    Lease lease(std::string owner) {
        return Lease(fixture.database(), clock, "retry/payment", std::move(owner), seconds(5));
    }
    std::vector<Stored> due() { return run_task(store.due(clock.now(), 10)).value(); }
    bool fails(const Lease& lease, std::int64_t attempts) {
        Pending row(due().at(0));
        row.attempts = attempts;
        std::vector<Pending> rows;
        rows.push_back(std::move(row));
        return run_task(store.settle({}, std::move(rows), lease)).value();
    }
    bool goes(const Lease& lease) {
        return run_task(store.settle({due().at(0).seq}, {}, lease)).value();
    }

    base::VirtualClock clock;
    SqliteFixture fixture{{}, clock};
    events::rabbitmq::ParkedStore store{"payment", fixture.database(), clock};
};

bool holds(Lease& lease) {
    return run_task(lease.hold()).value();
}

}  // namespace

TEST_CASE("parked: a pass of one who was paused past the lease is not written down") {
    Office office;
    Lease paused = office.lease("a");
    Lease successor = office.lease("b");
    REQUIRE(holds(paused));
    CHECK(office.fails(paused, 1));
    office.clock.advance(seconds(6));
    REQUIRE(holds(successor));
    CHECK(office.fails(successor, 2));
    CHECK_FALSE(office.fails(paused, 1));
    CHECK(office.due().at(0).attempts == 2);
    CHECK_FALSE(office.goes(paused));
    CHECK(office.due().size() == 1);
    CHECK(office.goes(successor));
    CHECK(office.due().empty());
}
