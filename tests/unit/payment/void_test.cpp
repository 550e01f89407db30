// After a void no money stays taken, whenever it comes.
#include "unit/payment/payment_world.hpp"

using namespace souk;
using namespace souk::test;
using payment::VoidOutcome;

namespace {

constexpr microseconds tick = milliseconds(250);

}  // namespace

TEST_CASE("a void before order.placed fences the charge that would follow") {
    PaymentWorld world;
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    REQUIRE(world.place("ord_1", "tok_approve"));
    for (int i = 0; i < 20; ++i) {
        world.work(milliseconds(2));
        world.clock.advance(tick);
    }
    CHECK(world.status("ord_1") == "voided");
    CHECK(world.provider_count("capture", "ord_1") == 0);
    CHECK(world.events("ord_1").empty());
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
}

TEST_CASE("a void before an order of zero fences it, too") {
    PaymentWorld world;
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    REQUIRE(world.place("ord_1", "", 0));
    CHECK(world.status("ord_1") == "voided");
    CHECK(world.events("ord_1").empty());
}

TEST_CASE("a void of an attempt that was not sent fences it") {
    PaymentWorld world(1, payment_settings("1"));
    REQUIRE(world.place("ord_slow", "tok_timeout"));  // keeps the only worker busy
    world.until([&] { return world.number("SELECT tries FROM attempts") == 1; });
    REQUIRE(world.place("ord_1", "tok_approve"));
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    world.until_status("ord_slow", "captured", tick);
    CHECK(world.status("ord_1") == "voided");
    CHECK(world.provider_count("capture", "ord_1") == 0);
}

TEST_CASE("a void after the capture answers captured and changes nothing") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    CHECK(world.void_order("ord_1") == VoidOutcome::captured);
    CHECK(world.void_order("ord_1") == VoidOutcome::captured);
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.provider_count("refund", "ord_1") == 0);
}

TEST_CASE("a void while the charge is with the provider: unknown, then refunded") {
    const std::string token = GENERATE("tok_charge_then_timeout", "tok_timeout");
    PaymentWorld world;
    REQUIRE(world.place("ord_1", token));
    world.until([&] { return world.number("SELECT tries FROM attempts") == 1; });
    CHECK(world.void_order("ord_1") == VoidOutcome::unknown);
    world.until_status("ord_1", "refunded", tick);
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    // The capture was never announced: the order would have become paid.
    CHECK(world.events("ord_1") == "payment.refunded@1");
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.provider_count("refund", "ord_1") == 1);
    CHECK(world.ledger_sum() == 0);
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 4);
    CHECK(world.balance("provider_receivable", "ord_1") == 0);
    CHECK(world.balance("refunds", "ord_1") == 1250);
}

TEST_CASE("a refund that loses its answer is not given twice") {
    const std::string point = GENERATE("payment.after_claim", "payment.after_charge");
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_charge_then_timeout"));
    world.until([&] { return world.number("SELECT tries FROM attempts") == 1; });
    CHECK(world.void_order("ord_1") == VoidOutcome::unknown);
    world.until_status("ord_1", "refunding", tick);
    {
        ArmedFailpoint armed(point, "error");
        for (int i = 0; i < 150; ++i) {
            world.work(milliseconds(2));
            world.clock.advance(tick);
        }
        world.kill();
        world.start();
    }
    world.until_status("ord_1", "refunded", tick);
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.provider_count("refund", "ord_1") == 1);
    CHECK(world.ledger_sum() == 0);
}

TEST_CASE("a void of a charge that turns out declined is fenced") {
    PaymentWorld world;
    {
        ArmedFailpoint armed("payment.after_charge", "error");
        REQUIRE(world.place("ord_1", "tok_decline"));
        world.until([&] { return world.provider_count("decline", "ord_1") == 1; });
        world.work();
    }
    CHECK(world.void_order("ord_1") == VoidOutcome::unknown);
    world.until_status("ord_1", "declined", tick);
    CHECK(world.void_order("ord_1") == VoidOutcome::fenced);
    CHECK(world.events("ord_1") == "payment.declined@1");
}

TEST_CASE("voids that race the worker leave each order either paid or without its money taken") {
    PaymentWorld world;
    std::map<std::string, VoidOutcome> outcomes;
    for (int i = 0; i < 60; ++i) {
        const auto id = fmt::format("ord_{}", i);
        REQUIRE(world.place(id, "tok_approve"));
        world.work(milliseconds(i % 5));
        outcomes[id] = world.void_order(id);
    }
    world.until(
        [&] {
            return world.number(
                       "SELECT COUNT(*) FROM payments WHERE status IN "
                       "('captured', 'voided', 'refunded')"
                   ) == 60;
        },
        tick
    );
    for (const auto& [id, outcome] : outcomes) {
        CAPTURE(id, static_cast<int>(outcome));
        const auto status = world.status(id);
        const int kept = world.provider_count("capture", id) - world.provider_count("refund", id);
        CHECK(kept == (status == "captured" ? 1 : 0));
        if (outcome == VoidOutcome::fenced) CHECK(status == "voided");
        if (outcome == VoidOutcome::captured) CHECK(status == "captured");
        CHECK(
            world.events(id) == (status == "captured"   ? "payment.captured@1"
                                 : status == "refunded" ? "payment.refunded@1"
                                                        : "")
        );
    }
    CHECK(world.ledger_sum() == 0);
}
