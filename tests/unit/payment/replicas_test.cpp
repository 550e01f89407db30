// Two processes of the module on one database and one provider.
#include "app/settle.hpp"
#include "unit/payment/payment_world.hpp"

using namespace souk;
using namespace souk::test;
using payment::VoidOutcome;

namespace {

constexpr microseconds tick = milliseconds(250);
constexpr int many = 100;

std::string order_id(int i) {
    return fmt::format("ord_{}", i);
}

std::string in_quotes(const std::string& text) {
    return "'" + text + "'";
}

Task<bool> keep(Task<Result<VoidOutcome>> task, VoidOutcome& out) {
    auto outcome = co_await std::move(task);
    if (outcome) out = *outcome;
    co_return outcome.has_value();
}

Task<bool> succeeds(Task<Result<void>> task) {
    auto done = co_await std::move(task);
    co_return done.has_value();
}

/// Runs `statements` in one transaction, one after the other.
Task<Result<void>> run_each(Transaction& tx, std::vector<std::string> statements) {
    for (const std::string& text : statements) {
        const Statement statement = named_statement(text);
        auto done = co_await tx.execute(statement, Params());
        if (!done) co_return done.error();
    }
    co_return Result<void>();
}

Task<Result<void>> transact(Database& database, TransactionBody body) {
    co_return co_await database.transact(std::move(body), Deadline::never());
}

}  // namespace

TEST_CASE("two replicas that hear of the same orders at once send each attempt once") {
    PaymentWorld world(2);
    std::vector<Task<Result<void>>> deliveries;
    for (int i = 0; i < many; ++i)
        for (std::size_t to = 0; to < 2; ++to)
            deliveries.push_back(world.delivering(
                world.replica(to), PaymentWorld::placed(order_id(i), "tok_approve", 100 + i)
            ));
    for (const auto& delivered : world.run_all(std::move(deliveries)))
        CHECK(delivered);
    world.until(
        [&] {
            return world.number("SELECT COUNT(*) FROM payments WHERE status = 'captured'") == many;
        },
        tick
    );
    CHECK(world.number("SELECT COUNT(*) FROM attempts WHERE tries = 1") == many);
    CHECK(world.number("SELECT COUNT(*) FROM outbox") == many);
    CHECK(world.number("SELECT COUNT(*) FROM ledger_sets") == many);
    CHECK(world.ledger_sum() == 0);
    for (int i = 0; i < many; ++i)
        CHECK(world.provider_count("capture", order_id(i)) == 1);
}

TEST_CASE("two replicas that wake at the same moment lease each attempt once") {
    PaymentWorld world(2);
    ArmedFailpoint armed("payment.after_claim", "error");  // each lease runs out
    for (int i = 0; i < many / 2; ++i)
        REQUIRE(world.place(order_id(i), "tok_approve"));
    for (int round = 1; round <= 5; ++round) {
        world.until([&] {
            return world.number("SELECT CAST(SUM(tries) AS BIGINT) FROM attempts") >=
                   round * many / 2;
        });
        world.work();  // whoever claims them once more, too, has done so
        CHECK(world.number("SELECT MAX(tries) FROM attempts") == round);
        world.clock.advance(seconds(31));
    }
}

TEST_CASE("a void at one replica races order.placed and the charge at the other one") {
    PaymentWorld world(2);
    std::vector<VoidOutcome> outcomes(many);
    for (int i = 0; i < many; ++i) {
        std::vector<Task<bool>> calls;
        calls.push_back(succeeds(
            world.delivering(world.replica(0), PaymentWorld::placed(order_id(i), "tok_approve"))
        ));
        if (i % 2 == 0) {  // the charge has a start of some steps
            CHECK(world.run_all(std::move(calls)).front());
            calls.clear();
            world.work(milliseconds(i % 7));
        }
        calls.push_back(keep(world.voiding(order_id(i), 1), outcomes[static_cast<std::size_t>(i)]));
        for (const bool done : world.run_all(std::move(calls)))
            CHECK(done);
    }
    world.until(
        [&] {
            return world.number(
                       "SELECT COUNT(*) FROM payments WHERE status IN "
                       "('captured', 'voided', 'refunded')"
                   ) == many;
        },
        tick
    );
    for (int i = 0; i < many; ++i) {
        const std::string id = order_id(i);
        const std::string status = world.status(id);
        CAPTURE(id, status);
        const int kept = world.provider_count("capture", id) - world.provider_count("refund", id);
        CHECK(kept == (status == "captured" ? 1 : 0));
        const VoidOutcome outcome = outcomes[static_cast<std::size_t>(i)];
        if (outcome == VoidOutcome::fenced) CHECK(status == "voided");
        if (outcome == VoidOutcome::captured) CHECK(status == "captured");
        if (outcome == VoidOutcome::unknown) CHECK(status == "refunded");  // the fence came first
        const auto events = world.events(id);
        if (status == "captured") CHECK(events == "payment.captured@1");
        if (status == "refunded") CHECK(events == "payment.refunded@1");
        if (status == "voided") CHECK(events.empty());
    }
    CHECK(world.ledger_sum() == 0);
}

TEST_CASE("two replicas that settle one answer at once book and announce it once") {
    PaymentWorld world(2);
    for (int i = 0; i < 20; ++i) {
        const std::string id = order_id(i);
        {
            ArmedFailpoint armed("payment.after_charge", "error");
            REQUIRE(world.place(id, "tok_approve"));
            world.until([&] { return world.provider_count("capture", id) == 1; });
            world.work();
        }
        const payment::domain::Attempt attempt(
            world.text("SELECT id FROM attempts WHERE order_id = " + in_quotes(id)),
            world.text("SELECT id FROM payments WHERE order_id = " + in_quotes(id)),
            id,
            "charge",
            "",
            "tok_approve",
            Money(1250, Currency::gbp())
        );
        const auto answer = payment::app::Answer::yes();
        const std::vector<payment::app::Answered> answered(1, {attempt, answer});
        const TransactionBody body = [&](Transaction& tx) {
            return payment::app::settle_charges(tx, world.clock, answered);
        };
        std::vector<Task<Result<void>>> both;
        for (std::size_t by = 0; by < 2; ++by)
            both.push_back(transact(*world.replica(by).database, body));
        for (const auto& settled : world.run_all(std::move(both)))
            CHECK(settled);
        CHECK(world.events(id) == "payment.captured@1");
        CHECK(world.balance("sales", id) == -1250);
    }
    CHECK(world.number("SELECT COUNT(*) FROM ledger_entries") == 40);
}

TEST_CASE("an entry that is written while its set is being closed is not missed by the balance") {
    PaymentWorld world(2);
    if (world.database().dialect() == Dialect::sqlite) return;  // one writer: no such moment
    REQUIRE(world.place("ord_1", "tok_decline"));
    world.until_status("ord_1", "declined");
    const std::string insert =
        "INSERT INTO ledger_entries (set_id, account, amount, currency, order_id, created_at) "
        "VALUES ";
    std::vector<std::string> late;
    late.push_back(insert + "('led_x', 'provider_receivable', 7, 'GBP', 'o', 0)");
    late.emplace_back("SELECT pg_sleep(0.3)");  // the other one closes the set meanwhile
    std::vector<std::string> closing;
    closing.emplace_back("SELECT pg_sleep(0.1)");
    closing.push_back(
        insert + "('led_x', 'sales', 5, 'GBP', 'o', 0), ('led_x', 'refunds', -5, 'GBP', 'o', 0)"
    );
    closing.emplace_back("INSERT INTO ledger_sets SELECT 'led_x', id, 0 FROM attempts");
    std::vector<Task<Result<void>>> both;
    both.push_back(transact(*world.replica(0).database, [&](Transaction& tx) {
        return run_each(tx, late);
    }));
    both.push_back(transact(*world.replica(1).database, [&](Transaction& tx) {
        return run_each(tx, closing);
    }));
    const auto done = world.run_all(std::move(both));
    CHECK(done[0].has_value() != done[1].has_value());
    CHECK(
        world.number("SELECT COUNT(*) FROM ledger_sets s WHERE (SELECT SUM(amount) "
                     "FROM ledger_entries e WHERE e.set_id = s.id) <> 0") == 0
    );
}
