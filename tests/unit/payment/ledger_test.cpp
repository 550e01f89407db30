// The ledger: double entry, append-only, each set sums to zero; the database holds it to that.
#include "domain/ledger.hpp"

#include "domain/retry.hpp"
#include "souk/money.hpp"
#include "unit/payment/payment_world.hpp"

using namespace souk;
using namespace souk::test;

TEST_CASE("the postings of a capture and of a refund sum to zero") {
    for (std::int64_t amount : {std::int64_t{1}, std::int64_t{333}, max_amount}) {
        CHECK(payment::domain::sums_to_zero(payment::domain::capture_postings(amount)));
        CHECK(payment::domain::sums_to_zero(payment::domain::refund_postings(amount)));
    }
    auto wrong = payment::domain::capture_postings(5);
    wrong[0].amount = 6;
    CHECK_FALSE(payment::domain::sums_to_zero(wrong));
}

TEST_CASE("a retry waits longer each time, up to a minute, and not all alike") {
    using payment::domain::retry_delay;
    CHECK(retry_delay("att_1", 1) >= milliseconds(500));
    CHECK(retry_delay("att_1", 1) < seconds(1));
    CHECK(retry_delay("att_1", 100) >= seconds(30));
    CHECK(retry_delay("att_1", 100) < seconds(60));
    CHECK(retry_delay("att_1", 3) != retry_delay("att_2", 3));
}

TEST_CASE("the database refuses to change or delete what is in the ledger") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    const std::string statement = GENERATE(
        "UPDATE ledger_entries SET amount = amount + 1",
        "UPDATE ledger_entries SET account = 'refunds' WHERE account = 'sales'",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_sets SET attempt_id = 'att_2'",
        "DELETE FROM ledger_sets",
        // a third entry of a closed set
        "INSERT INTO ledger_entries (set_id, account, amount, currency, order_id, created_at) "
        "SELECT id, 'refunds', 5, 'GBP', 'ord_1', 0 FROM ledger_sets"
    );
    CAPTURE(statement);
    CHECK_FALSE(world.sql(statement));
    CHECK(world.balance("provider_receivable", "ord_1") == 1250);
    CHECK(world.balance("sales", "ord_1") == -1250);
}

TEST_CASE("the database refuses to close a set that does not sum to zero in one currency") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    struct Case {
        const char* entries;
        bool accepted;
    };
    const auto entry_case = GENERATE(
        Case{"('led_x', 'sales', 5, 'GBP', 'o', 0), ('led_x', 'refunds', -5, 'GBP', 'o', 0)", true},
        Case{
            "('led_x', 'sales', 5, 'GBP', 'o', 0), ('led_x', 'refunds', -4, 'GBP', 'o', 0)", false},
        Case{
            "('led_x', 'sales', 5, 'GBP', 'o', 0), ('led_x', 'refunds', -5, 'EUR', 'o', 0)", false},
        Case{"('led_x', 'sales', 5, 'GBP', 'o', 0)", false},
        Case{"('led_y', 'sales', 5, 'GBP', 'o', 0), ('led_y', 'refunds', -5, 'GBP', 'o', 0)", false}
    );
    CAPTURE(entry_case.entries);
    REQUIRE(
        world.sql("INSERT INTO attempts SELECT 'att_x', payment_id, order_id, operation, "
                  "charge_id, token, amount, currency, 'voided', 0, 0, 0 FROM attempts")
    );
    REQUIRE(world.sql(
        std::string("INSERT INTO ledger_entries (set_id, account, amount, currency, "
                    "order_id, created_at) VALUES ") +
        entry_case.entries
    ));
    const auto closed = world.sql("INSERT INTO ledger_sets VALUES ('led_x', 'att_x', 0)");
    CHECK(closed.has_value() == entry_case.accepted);
}

TEST_CASE("one attempt is booked once") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    REQUIRE(
        world.sql("INSERT INTO ledger_entries (set_id, account, amount, currency, order_id, "
                  "created_at) VALUES ('led_x', 'sales', 5, 'GBP', 'o', 0), "
                  "('led_x', 'refunds', -5, 'GBP', 'o', 0)")
    );
    CHECK_FALSE(world.sql("INSERT INTO ledger_sets SELECT 'led_x', attempt_id, 0 FROM ledger_sets")
    );
}
