// Orders are charged once, whatever the provider answers and wherever the process dies.
#include "app/settle.hpp"
#include "unit/payment/payment_world.hpp"

using namespace souk;
using namespace souk::test;

namespace {

constexpr microseconds tick = milliseconds(250);

}  // namespace

TEST_CASE("an approved charge is captured, booked and announced") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.balance("provider_receivable", "ord_1") == 1250);
    CHECK(world.balance("sales", "ord_1") == -1250);

    const auto data = json::parse(world.text("SELECT data FROM outbox")).value().as_object();
    CHECK(data.at("order_id").as_string() == "ord_1");
    CHECK(data.at("amount").as_int64() == 1250);
    CHECK(data.at("currency").as_string() == "GBP");
}

TEST_CASE("a declined charge is announced with its reason and books nothing") {
    struct Row {
        const char* token;
        const char* reason;
    };
    const auto row = GENERATE(Row{"tok_decline", "card_declined"}, Row{"tok_x", "invalid_token"});
    PaymentWorld world;
    REQUIRE(world.place("ord_1", row.token));
    world.until_status("ord_1", "declined");
    CHECK(world.events("ord_1") == "payment.declined@1");
    const auto data = json::parse(world.text("SELECT data FROM outbox")).value().as_object();
    CHECK(data.at("reason").as_string() == row.reason);
    CHECK(world.provider_count("capture", "ord_1") == 0);
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 0);
}

TEST_CASE("an unknown outcome is asked again under the same attempt until it is definite") {
    const std::string token = GENERATE("tok_timeout", "tok_charge_then_timeout");
    PaymentWorld world;
    REQUIRE(world.place("ord_1", token));
    world.until_status("ord_1", "captured", tick);
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.number("SELECT COUNT(*) FROM attempts") == 1);
    CHECK(world.number("SELECT tries FROM attempts") == (token == "tok_timeout" ? 3 : 2));
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.ledger_sum() == 0);
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 2);
}

TEST_CASE("no double charge when the worker dies at a failpoint") {
    const std::string point =
        GENERATE("payment.after_claim", "payment.after_charge", "payment.after_commit");
    const std::string token = GENERATE("tok_approve", "tok_charge_then_timeout", "tok_timeout");
    const bool killed = GENERATE(false, true);
    CAPTURE(point, token, killed);
    PaymentWorld world;
    {
        ArmedFailpoint armed(point, "error");
        REQUIRE(world.place("ord_1", token));
        // Long enough for the send, its timeout, the lease and the next send.
        for (int i = 0; i < 100; ++i) {
            world.work(milliseconds(2));
            world.clock.advance(tick);
        }
        if (killed) {
            world.kill();
            world.start();
        }
    }
    world.until_status("ord_1", "captured", tick);
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.number("SELECT COUNT(*) FROM attempts") == 1);
    CHECK(world.ledger_sum() == 0);
    CHECK(world.balance("sales", "ord_1") == -1250);
}

TEST_CASE("many orders are charged once each, however often they are announced") {
    PaymentWorld world;
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 100; ++i)
            REQUIRE(world.place(fmt::format("ord_{}", i), "tok_approve", 100 + i));
    world.until([&] {
        return world.number("SELECT COUNT(*) FROM payments WHERE status = 'captured'") == 100;
    });
    CHECK(world.number("SELECT COUNT(*) FROM outbox") == 100);
    CHECK(world.ledger_sum() == 0);
    for (int i = 0; i < 100; ++i)
        CHECK(world.provider_count("capture", fmt::format("ord_{}", i)) == 1);
}

TEST_CASE("an answer that is settled twice is booked and announced once") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    const payment::domain::Attempt attempt(
        world.text("SELECT id FROM attempts"),
        world.text("SELECT id FROM payments"),
        "ord_1",
        "charge",
        "",
        "tok_approve",
        Money(1250, Currency::gbp())
    );
    const auto answer =
        GENERATE(payment::app::Answer::yes(), payment::app::Answer::no("card_declined"));
    const std::vector<payment::app::Answered> answered(1, {attempt, answer});
    const TransactionBody body = [&](Transaction& tx) {
        return payment::app::settle_charges(tx, world.clock, answered);
    };
    CHECK(world.run(world.database().transact(body, Deadline::never())));
    CHECK(world.status("ord_1") == "captured");
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 2);
}

TEST_CASE("the work queue is found by its index") {
    PaymentWorld world;
    if (world.database().dialect() != Dialect::sqlite) return;  // PostgreSQL decides by the rows
    const auto plan = world.sql(
        "EXPLAIN QUERY PLAN SELECT id FROM attempts WHERE status IN "
        "('queued', 'sent') AND next_at <= 5 ORDER BY next_at LIMIT 9"
    );
    CHECK(plan.value()[0].string(3).find("INDEX attempts_due") != std::string::npos);
}

TEST_CASE("an order of zero is paid at once without the provider") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "", 0));
    CHECK(world.status("ord_1") == "captured");
    CHECK(world.events("ord_1") == "payment.captured@1");
    REQUIRE(world.place("ord_1", "", 0));
    CHECK(world.events("ord_1") == "payment.captured@1");
    CHECK(world.number("SELECT COUNT(*) FROM attempts") == 0);
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 0);
    CHECK(read_file(world.folder() / "provider.log").empty());
}

TEST_CASE("an event that can't be read is refused and leaves nothing") {
    PaymentWorld world;
    const std::string data = GENERATE(
        "{}",
        "[]",
        R"({"order_id":"o","user_id":"u","amount":-1,"currency":"GBP","payment_token":"t"})",
        R"({"order_id":"o","user_id":"u","amount":1,"currency":"XXQ","payment_token":"t"})"
    );
    auto handled = world.deliver(Event("order.placed", "o", 1, data));
    REQUIRE_FALSE(handled);
    CHECK(handled.error().kind == ErrorKind::invalid);
    CHECK(world.number("SELECT COUNT(*) FROM payments") == 0);
    CHECK(world.number("SELECT COUNT(*) FROM fences") == 0);
}

TEST_CASE("a stop does not wait for a provider that is silent, and the next start asks again") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_charge_then_timeout"));
    world.until([&] { return world.provider_count("capture", "ord_1") == 1; });
    world.stop();  // no time passes on the clock
    world.start();
    world.until_status("ord_1", "captured");
    CHECK(world.provider_count("capture", "ord_1") == 1);
    CHECK(world.events("ord_1") == "payment.captured@1");
}
