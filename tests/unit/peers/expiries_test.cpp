#include "peers/expiries.hpp"

#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

Task<bool> wait_after_stop(std::shared_ptr<Expiries> expiries) {
    expiries->start();
    co_await expiries->stop();
    bool ended = false;
    const Expiries::Entry late(*expiries, SteadyTime::max(), [&ended] { ended = true; });
    co_return ended&& late.is_over();
}

}  // namespace

TEST_CASE("what begins to wait when all has stopped is ended at once") {
    Loop loop;
    auto nothing = [] { return false; };
    auto expiries = std::make_shared<Expiries>(
        loop.executor(), base::system_clock(), milliseconds(100), nothing
    );
    CHECK(start(loop.executor(), wait_after_stop(expiries)).get());
}
