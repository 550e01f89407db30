// A lease changes hands, and who had it before can write nothing more.
#include "events/lease.hpp"

#include "base/virtual_clock.hpp"
#include "events/rabbitmq/relay_store.hpp"
#include "support/database_fixture.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::test;
using events::Lease;

namespace {

Task<Result<void>> append_one(Transaction& tx, const Clock& clock) {
    Event event("order.placed", "ord_1", 1, "{}");
    co_return co_await append_event(tx, clock, std::move(event));
}

struct Office {
    Office() {
        TransactionBody body = [this](Transaction& tx) { return append_one(tx, clock); };
        run_task(fixture.database().transact(std::move(body), Deadline::never())).value();
    }
    Lease lease(std::string owner) {
        return Lease(fixture.database(), clock, "relay/order", std::move(owner), seconds(5));
    }
    bool marks(const Lease& lease) { return run_task(store.mark_sent({1}, lease)).value(); }
    std::size_t unsent() { return run_task(store.unsent(10)).value().size(); }

    base::VirtualClock clock;
    SqliteFixture fixture{{}, clock};
    events::rabbitmq::RelayStore store{fixture.database(), clock};
};

bool holds(Lease& lease) {
    return run_task(lease.hold()).value();
}

}  // namespace

TEST_CASE("lease: one owner at a time, the next one when it has expired") {
    Office office;
    Lease first = office.lease("a");
    Lease second = office.lease("b");
    CHECK(holds(first));
    CHECK_FALSE(holds(second));
    office.clock.advance(seconds(4));
    CHECK(holds(first));  // renewed
    office.clock.advance(seconds(4));
    CHECK_FALSE(holds(second));
    office.clock.advance(seconds(2));
    CHECK(holds(second));
    CHECK_FALSE(holds(first));
    run_task(second.give_back()).value();
    CHECK(holds(first));
}

TEST_CASE("lease: a relay that has lost it marks nothing") {
    Office office;
    Lease first = office.lease("a");
    Lease second = office.lease("b");
    CHECK(holds(first));
    office.clock.advance(seconds(6));
    CHECK(holds(second));
    CHECK_FALSE(office.marks(first));
    CHECK(office.unsent() == 1);
    CHECK(office.marks(second));
    CHECK(office.unsent() == 0);
}

TEST_CASE("lease: an owner that comes back is fenced off from its former self") {
    Office office;
    Lease before = office.lease("a");
    CHECK(holds(before));
    Lease other = office.lease("b");
    office.clock.advance(seconds(6));
    CHECK(holds(other));
    office.clock.advance(seconds(6));
    Lease again = office.lease("a");
    CHECK(holds(again));
    CHECK_FALSE(office.marks(before));
    CHECK(office.marks(again));
}
