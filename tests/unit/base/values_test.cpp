#include "souk/context.hpp"
#include "souk/database.hpp"
#include "souk/error.hpp"
#include "souk/peers.hpp"
#include "souk/settings.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <stdexcept>

using namespace souk;

TEST_CASE("each kind of error has its own status and comes back from it", "[error]") {
    std::set<int> seen;
    for (int i = 0; i <= static_cast<int>(ErrorKind::request_timeout); ++i) {
        auto kind = static_cast<ErrorKind>(i);
        CHECK(error_kind_of(http_status(kind)) == kind);
        seen.insert(http_status(kind));
    }
    CHECK(seen.size() == static_cast<std::size_t>(ErrorKind::request_timeout) + 1);
    CHECK(error_kind_of(418) == ErrorKind::invalid);
    CHECK(error_kind_of(502) == ErrorKind::internal);
    CHECK(error_kind_of(302) == ErrorKind::internal);
}

TEST_CASE("what may succeed later without a change is retryable", "[error]") {
    CHECK(is_retryable(unavailable("x", "")));
    CHECK(is_retryable(Error(ErrorKind::timeout, "x", "")));
    CHECK(is_retryable(Error(ErrorKind::rate_limited, "x", "")));
    CHECK(is_retryable(conflict("in_flight", "").with_retry_after(1)));
    CHECK_FALSE(is_retryable(conflict("duplicate", "")));
    CHECK_FALSE(is_retryable(invalid("x", "")));
    CHECK_FALSE(is_retryable(Error(ErrorKind::internal, "x", "")));
}

TEST_CASE("the value of an error throws Failure", "[error]") {
    Result<int> result = not_found("no such thing");
    try {
        (void)result.value();
        FAIL("did not throw");
    } catch (const Failure& failure) {
        CHECK(failure.error.code == "not_found");
        CHECK(std::string(failure.what()) == "no such thing");
    }
}

TEST_CASE("roles carry their permissions and no more", "[identity]") {
    Identity nobody;
    Identity customer("usr_1", {"customer"}, "s");
    Identity staff("usr_2", {"customer", "staff"}, "s");
    Identity importer("usr_3", {"importer"}, "s");
    Identity admin("usr_4", {"admin"}, "s");
    for (auto permission :
         {"products:write", "stock:write", "orders:read", "payments:read", "audit:read"}) {
        CHECK(staff.may(permission));
        CHECK(admin.may(permission));
        CHECK_FALSE(customer.may(permission));
        CHECK_FALSE(importer.may(permission));
        CHECK_FALSE(nobody.may(permission));
    }
    for (auto permission :
         {"products:import", "users:import", "orders:import", "products:read_all"}) {
        CHECK(importer.may(permission));
        CHECK(admin.may(permission));
        CHECK_FALSE(staff.may(permission));
        CHECK_FALSE(customer.may(permission));
    }
    CHECK_FALSE(staff.may(""));
    CHECK_FALSE(staff.may("products:*"));
    CHECK(admin.may("anything:at_all"));
}

TEST_CASE("settings are read by the type of their default", "[settings]") {
    std::map<std::string, std::string, std::less<>> values;
    values["ttl"] = "10m";
    values["workers"] = "4";
    values["on"] = "true";
    values["name"] = "simulated";
    Settings settings(values);
    CHECK(settings.text("name") == "simulated");
    CHECK(settings.integer("workers") == 4);
    CHECK(settings.boolean("on"));
    CHECK(settings.duration("ttl") == std::chrono::minutes(10));
    CHECK_THROWS_AS(settings.text("absent"), std::logic_error);
    CHECK_THROWS_AS(settings.integer("name"), std::logic_error);
    CHECK_THROWS_AS(settings.boolean("workers"), std::logic_error);
}

TEST_CASE("durations have a unit", "[settings]") {
    using namespace std::chrono_literals;
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("30s") == 30s);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("0s") == 0s);
    for (auto bad :
         {"",
          "10",
          "s",
          "-1s",
          "1.5s",
          "1 s",
          "1m30s",
          "1S",
          "99999999999999999999s",
          "9223372036854775807d"}) {
        INFO(bad);
        CHECK_THROWS_AS(parse_duration(bad), std::invalid_argument);
    }
}

namespace {
struct FakeApi {
    static constexpr std::string_view module_name = "product";
    int value = 7;
};
}  // namespace

TEST_CASE("a peer is reached when it is declared and there", "[peers]") {
    PeerTable table;
    FakeApi api;
    Peers order(table, "order", {"product"});
    CHECK_THROWS_WITH(order.get<FakeApi>(), "module order calls product, which cannot be reached");
    Peers product(table, "product", {});
    product.provide(api);
    CHECK(order.get<FakeApi>().value == 7);
    Peers user(table, "user", {"order"});
    CHECK_THROWS_WITH(user.get<FakeApi>(), "module user does not list product in its calls");
}

TEST_CASE("rows give back what the driver put in", "[rows]") {
    Rows rows;
    rows.start(3);
    rows.add_integer(1);
    rows.add_text("one");
    rows.add_null();
    rows.add_integer(-2);
    rows.add_text("");
    rows.add_text("zwei");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].integer(0) == 1);
    CHECK(rows[0].text(1) == "one");
    CHECK(rows[0].is_null(2));
    CHECK(rows[0].integer(2) == 0);
    CHECK(rows[0].text(2).empty());
    CHECK(rows[1].integer(0) == -2);
    CHECK(rows[1].boolean(0));
    CHECK_FALSE(rows[1].is_null(1));
    CHECK(rows[1].string(2) == "zwei");
    CHECK_THROWS_AS(rows[0].integer(1), std::logic_error);
    CHECK_THROWS_AS(rows[0].text(0), std::logic_error);
    CHECK_THROWS_AS(rows[0].integer(3), std::logic_error);
    CHECK_THROWS_AS(rows[2].integer(0), std::logic_error);
    CHECK(Rows().empty());
}

TEST_CASE("parameters keep their types", "[rows]") {
    std::string id = "ord_1";
    std::optional<std::string> none;
    Params params = souk::bind(id, 3, true, none, std::nullopt, "text", from_micros(5));
    REQUIRE(params.size() == 7);
    CHECK(std::get<std::string>(params[0]) == "ord_1");
    CHECK(std::get<std::int64_t>(params[1]) == 3);
    CHECK(std::get<std::int64_t>(params[2]) == 1);
    CHECK(std::holds_alternative<std::monostate>(params[3]));
    CHECK(std::holds_alternative<std::monostate>(params[4]));
    CHECK(std::get<std::string>(params[5]) == "text");
    CHECK(std::get<std::int64_t>(params[6]) == 5);
}
