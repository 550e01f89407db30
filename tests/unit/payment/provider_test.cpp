// The simulated provider: it must be honest, or the tests that it judges prove nothing.
#include "app/worker.hpp"
#include "unit/payment/desk.hpp"

using namespace souk;
using namespace souk::test;
using namespace souk::payment;

namespace {

/// Counts how many charges it has in hand; answers when the clock has moved on.
class SlowProvider final : public app::Provider {
public:
    explicit SlowProvider(Clock& clock) : clock_(clock) {}
    Task<Result<void>> open() override { co_return Result<void>(); }
    Task<Result<app::Answer>> charge(app::ChargeRequest, Deadline) override {
        most = std::max(most, ++now);
        co_await clock_.sleep(seconds(1));
        --now;
        co_return app::Answer::yes();
    }
    Task<Result<app::Answer>> refund(app::RefundRequest, Deadline) override {
        co_return app::Answer::yes();
    }
    Task<Result<std::vector<app::Book>>> books(std::string, std::size_t) override {
        co_return std::vector<app::Book>();
    }
    int now = 0;
    int most = 0;

private:
    Clock& clock_;
};

}  // namespace

TEST_CASE("the provider charges one attempt id once and two ids twice") {
    PaymentWorld world;
    Desk desk(world);
    REQUIRE(desk.open());
    CHECK(desk.charge("att_1", "tok_approve")->done);
    CHECK(desk.charge("att_1", "tok_approve")->done);
    CHECK(desk.book().captures == 1);
    CHECK(desk.charge("att_2", "tok_approve")->done);
    CHECK(desk.book().captures == 2);
    CHECK(desk.book().amount == 1000);
}

TEST_CASE("the provider remembers charges and declines across a restart") {
    PaymentWorld world;
    {
        Desk desk(world);
        REQUIRE(desk.open());
        CHECK(desk.charge("att_1", "tok_charge_then_timeout").error().kind == ErrorKind::timeout);
        CHECK_FALSE(desk.charge("att_2", "tok_decline")->done);
    }
    Desk desk(world);
    REQUIRE(desk.open());
    CHECK(desk.charge("att_1", "tok_charge_then_timeout")->done);
    CHECK(desk.charge("att_2", "tok_approve")->reason == "card_declined");
    CHECK(desk.book().captures == 1);
}

TEST_CASE("the provider refunds a charge once and never more than it took") {
    PaymentWorld world;
    Desk desk(world);
    REQUIRE(desk.open());
    CHECK(desk.charge("att_1", "tok_approve")->done);
    CHECK(desk.refund("att_2", "att_1")->done);
    CHECK(desk.refund("att_2", "att_1")->done);
    CHECK_FALSE(desk.refund("att_3", "att_1")->done);
    CHECK_FALSE(desk.refund("att_4", "att_unknown")->done);
    CHECK(desk.book().refunds == 1);
    CHECK(desk.book().amount == 0);
}

TEST_CASE("a half-written last line is cut off; a damaged whole one stops the provider") {
    PaymentWorld world;
    {
        Desk desk(world);
        REQUIRE(desk.open());
        CHECK(desk.charge("att_1", "tok_approve")->done);
    }
    Desk desk(world);
    std::ofstream(desk.file, std::ios::app) << R"({"at":"2026-01-01T00:00:00Z","op":"capt)";
    REQUIRE(desk.open());
    CHECK(desk.charge("att_2", "tok_approve")->done);
    Desk again(world);
    REQUIRE(again.open());
    CHECK(again.book().captures == 2);

    std::ofstream(desk.file, std::ios::app) << "damage\n";
    CHECK_FALSE(again.charge("att_3", "tok_approve"));
    CHECK(again.provider->fault().find("desk.log") != std::string::npos);
    Desk damaged(world);
    CHECK_FALSE(damaged.open());
}

TEST_CASE("two sends of one attempt at the same time charge it once") {
    PaymentWorld world;
    Desk desk(world);
    REQUIRE(desk.open());
    std::array<Given, 2> given;
    for (Given& one : given) {
        app::ChargeRequest request("att_1", "ord_1", "tok_approve", price);
        desk.start(desk.provider->charge(request, Deadline::never()), one);
    }
    world.until([&] { return given[0] && given[1]; });
    CHECK(desk.book().captures == 1);
}

TEST_CASE("no more attempts are with the provider than the setting says, yet that many") {
    PaymentWorld world;
    auto slow = std::make_shared<SlowProvider>(world.clock);
    world.run(world.module().stop(Deadline(world.clock, seconds(25))));  // its worker is replaced
    for (int i = 0; i < 10; ++i)
        REQUIRE(world.place(fmt::format("ord_{}", i), "tok_approve"));
    app::WorkerOptions options(3, seconds(20));
    auto worker = std::make_shared<app::Worker>(
        options,
        world.context().get_executor(),
        world.database(),
        world.bus(),
        world.clock,
        Logger("test"),
        world.metrics(),
        slow
    );
    worker->start();
    world.until(
        [&] {
            return world.number("SELECT COUNT(*) FROM payments WHERE status = 'captured'") == 10;
        },
        milliseconds(100)
    );
    CHECK(slow->most == 3);
    world.run(worker->stop(Deadline(world.clock, seconds(25))));
}
