// What customers, staff and the operator may read.
#include "unit/payment/payment_world.hpp"

using namespace souk;
using namespace souk::test;

namespace {

Identity person(const std::string& id, const std::string& role) {
    return Identity(id, std::vector<std::string>(1, role), "ses_1");
}

json::object body(const Result<http::Response>& response) {
    REQUIRE(response);
    return json::parse(response->body).value().as_object();
}

}  // namespace

TEST_CASE("a payment is seen by its owner and by who may read all, without its token") {
    PaymentWorld world;
    REQUIRE(world.place("ord_1", "tok_approve"));
    world.until_status("ord_1", "captured");
    const auto id = world.text("SELECT id FROM payments");
    for (const auto& who : {person("usr_1", "customer"), person("usr_9", "staff")}) {
        auto one = world.get(who, "/api/payments/{id}", "", id);
        const auto payment = body(one);
        CHECK(payment.at("order_id").as_string() == "ord_1");
        CHECK(payment.at("status").as_string() == "captured");
        CHECK(payment.at("amount").at("amount").as_int64() == 1250);
        CHECK(one->body.find("tok_") == std::string::npos);
        const auto list = body(world.get(who, "/api/payments", "order_id=ord_1"));
        CHECK(list.at("data").as_array().size() == 1);
    }
    auto stranger = person("usr_2", "customer");
    CHECK(world.get(stranger, "/api/payments/{id}", "", id).error().kind == ErrorKind::not_found);
    CHECK(
        world.get(stranger, "/api/payments/{id}", "", "pay_x").error().kind == ErrorKind::not_found
    );
    CHECK(body(world.get(stranger, "/api/payments", "order_id=ord_1")).at("data").as_array().empty()
    );
    CHECK(world.get(stranger, "/api/payments", "").error().kind == ErrorKind::invalid);
}

TEST_CASE("the audit pages through payments, the ledger and the provider's books") {
    PaymentWorld world;
    for (int i = 0; i < 5; ++i)
        REQUIRE(world.place(fmt::format("ord_{}", i), i == 4 ? "tok_decline" : "tok_approve"));
    world.until([&] {
        return world.number("SELECT COUNT(*) FROM payments WHERE status <> 'pending'") == 5;
    });
    std::map<std::string, int> kinds;
    std::string cursor;
    for (int pages = 0;; ++pages) {
        REQUIRE(pages < 20);
        auto query = "limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor);
        const auto page = body(world.get(Identity(), "/internal/payment/audit", query));
        CHECK(page.at("data").as_array().size() <= 2);
        for (const auto& row : page.at("data").as_array()) {
            ++kinds[std::string(row.at("kind").as_string())];
            if (row.at("kind").as_string() == "ledger") {
                CHECK(row.at("sum").as_int64() == 0);
                CHECK(row.at("entries").as_int64() == 8);
            }
            if (row.at("kind").as_string() == "provider") {
                CHECK(row.at("captures").as_int64() == 1);
                CHECK(row.at("amount").as_int64() == 1250);
            }
        }
        if (!page.at("has_more").as_bool()) break;
        cursor = std::string(page.at("next_cursor").as_string());
    }
    CHECK(kinds["payment"] == 5);
    CHECK(kinds["ledger"] == 1);
    CHECK(kinds["provider"] == 4);
    CHECK(
        world.get(Identity(), "/internal/payment/audit", "cursor=nonsense").error().kind ==
        ErrorKind::invalid
    );
}
