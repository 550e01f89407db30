// The judge must find every planted fault, or it proves nothing; and must not fail on what is only
// under way.
#include "cli/verify/judge.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace souk::cli;

namespace {

/// One paid order of 2 units at 10.00, one cancelled, one free; all settled.
Books settled_books() {
    Books books;
    books.stock["prd_1"] = StockRow{"MUG", 10, 7, 0, 3};
    books.reservations = {{"ord_1", "committed"}, {"ord_2", "released"}, {"ord_3", "committed"}};
    books.orders["ord_1"] = OrderRow{"paid", 1000, "GBP", {{"prd_1", 2}}};
    books.orders["ord_2"] = OrderRow{"cancelled", 500, "GBP", {{"prd_1", 1}}};
    books.orders["ord_3"] = OrderRow{"paid", 0, "GBP", {{"prd_1", 1}}};
    books.payments["ord_1"] = PaymentRow{"captured", 1000, "GBP"};
    books.payments["ord_2"] = PaymentRow{"declined", 500, "GBP"};
    books.payments["ord_3"] = PaymentRow{"captured", 0, "GBP"};
    books.provider["ord_1"] = ProviderRow{1, 0, 1000};
    books.ledger_sums["GBP"] = 0;
    books.mails.emplace("ord_1", MailRow{"order_paid", "sent"});
    books.mails.emplace("ord_2", MailRow{"order_cancelled", "sent"});
    books.mails.emplace("ord_3", MailRow{"order_paid", "sent"});
    return books;
}

void check_found(const std::function<void(Books&)>& plant) {
    Books books = settled_books();
    plant(books);
    CHECK_FALSE(judge(books).violations.empty());
}

void check_in_flight(const std::function<void(Books&)>& change) {
    Books books = settled_books();
    change(books);
    const Verdict verdict = judge(books);
    for (const std::string& violation : verdict.violations)
        UNSCOPED_INFO(violation);
    CHECK(verdict.violations.empty());
    CHECK_FALSE(verdict.in_flight.empty());
}

}  // namespace

TEST_CASE("settled books are clean") {
    const Verdict verdict = judge(settled_books());
    CHECK(verdict.violations.empty());
    CHECK(verdict.in_flight.empty());
}

TEST_CASE("every planted fault is found") {
    SECTION("oversold") {
        check_found([](Books& b) { b.stock["prd_1"].available = -1; });
    }
    SECTION("stock that does not add up") {
        check_found([](Books& b) { b.stock["prd_1"].received = 11; });
    }
    SECTION("a forgotten commit") {
        check_found([](Books& b) { b.stock["prd_1"] = StockRow{"MUG", 10, 8, 0, 2}; });
    }
    SECTION("a forgotten release") {
        check_found([](Books& b) { b.stock["prd_1"] = StockRow{"MUG", 10, 6, 1, 3}; });
    }
    SECTION("a hold released under a paid order") {
        check_found([](Books& b) { b.reservations["ord_1"] = "released"; });
    }
    SECTION("a hold committed for a cancelled order") {
        check_found([](Books& b) { b.reservations["ord_2"] = "committed"; });
    }
    SECTION("a double charge") {
        check_found([](Books& b) { b.provider["ord_1"].captures = 2; });
    }
    SECTION("paid without a charge") {
        check_found([](Books& b) { b.provider.erase("ord_1"); });
    }
    SECTION("paid without a payment") {
        check_found([](Books& b) { b.payments.erase("ord_1"); });
    }
    SECTION("another amount than ours at the provider") {
        check_found([](Books& b) { b.provider["ord_1"].amount = 999; });
    }
    SECTION("another amount than the order's") {
        check_found([](Books& b) { b.payments["ord_1"].amount = 999; });
    }
    SECTION("a charge that we do not know") {
        check_found([](Books& b) { b.provider["ord_9"] = ProviderRow{1, 0, 5}; });
    }
    SECTION("more refunds than captures") {
        check_found([](Books& b) { b.provider["ord_1"].refunds = 2; });
    }
    SECTION("a ledger that is off by a penny") {
        check_found([](Books& b) { b.ledger_sums["GBP"] = 1; });
    }
    SECTION("two mails of one kind") {
        check_found([](Books& b) { b.mails.emplace("ord_1", MailRow{"order_paid", "sent"}); });
    }
    SECTION("a phantom commit") {
        check_found([](Books& b) { b.reservations["ord_9"] = "committed"; });
    }
    SECTION("a pending order without a hold") {
        check_found([](Books& b) { b.orders["ord_9"] = OrderRow{"pending", 5, "GBP", {}}; });
    }
}

TEST_CASE("what is under way is labelled, not failed") {
    SECTION("pending") {
        check_in_flight([](Books& b) {
            b.orders["ord_4"] = OrderRow{"pending", 5, "GBP", {{"prd_1", 1}}};
            b.reservations["ord_4"] = "held";
            b.stock["prd_1"] = StockRow{"MUG", 10, 6, 1, 3};
        });
    }
    SECTION("paid, hold not committed") {
        check_in_flight([](Books& b) {
            b.reservations["ord_1"] = "held";
            b.stock["prd_1"] = StockRow{"MUG", 10, 7, 2, 1};
        });
    }
    SECTION("a mail not yet written or handed over") {
        check_in_flight([](Books& b) { b.mails.erase("ord_1"); });
        check_in_flight([](Books& b) {
            b.mails.erase("ord_1");
            b.mails.emplace("ord_1", MailRow{"order_paid", "queued"});
        });
    }
    SECTION("cancelled, refund not booked") {
        check_in_flight([](Books& b) {
            b.payments["ord_2"].status = "captured";
            b.provider["ord_2"] = ProviderRow{1, 0, 500};
        });
    }
    SECTION("an intent") {
        check_in_flight([](Books& b) { b.open_intents.insert("ord_5"); });
    }
}

TEST_CASE("rows are read strictly, unknown kinds are ignored") {
    Books books;
    CHECK_NOTHROW(books.add(souk::json::object{{"kind", "weather"}}));
    CHECK_THROWS(books.add(souk::json::object{{"kind", "stock"}, {"sku", "MUG"}}));
    CHECK_THROWS(books.add(souk::json::object{}));
}
