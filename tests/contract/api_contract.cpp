// What the Apis of product, user and payment promise to other modules, however they are reached
// (api_world.hpp).
#include "contract/api_world.hpp"
#include "host/registry.hpp"

#include <limits>
#include <set>

using namespace souk;
using namespace souk::test;

namespace {

using product::ReserveLine;
using Limits = std::numeric_limits<std::int64_t>;

}  // namespace

TEST_CASE("every module that another calls can be called from another process") {
    std::set<std::string_view> called;
    for (const ModuleInfo* info : modules())
        called.insert(info->calls.begin(), info->calls.end());
    CHECK(called.size() >= 4);
    for (const ModuleInfo* info : modules()) {
        CAPTURE(info->name);
        CHECK((info->connect != nullptr) == called.contains(info->name));
    }
}

// product ---------------------------------------------------------------------------------------

TEST_CASE("product: reserve answers each product once, in order, exactly") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("SKU-A", 10, "0.000001", odd_name);
    const std::string b = world.add("SKU-B", 10, "900719925.123456", "B", "KWD");
    const auto reserved =
        world.reserve("ord_1", {ReserveLine(b, 1), ReserveLine(a, 2), ReserveLine(b, 3)}).value();
    REQUIRE(reserved.size() == 2);
    CHECK(a < b);
    CHECK(told(reserved[0]) == fmt::format("{}|SKU-A|{}|1|GBP", a, odd_name));
    CHECK(told(reserved[1]) == fmt::format("{}|SKU-B|B|900719925123456|KWD", b));
    CHECK(reserved[1].currency.exponent() == 3);
    CHECK(world.available(a) == 8);
    CHECK(world.available(b) == 6);
}

TEST_CASE("product: reserve is idempotent by order, also with other lines and another price") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 10, "100");
    const auto first = world.reserve("ord_1", {ReserveLine(a, 4)}).value();
    world.add("A", 10, "900");
    CHECK(told(world.reserve("ord_1", {ReserveLine(a, 4)}).value()) == told(first));
    CHECK(told(world.reserve("ord_1", {ReserveLine(a, 1)}).value()) == told(first));
    CHECK(world.available(a) == 6);
}

TEST_CASE("product: reserve tells each line at fault, and holds nothing") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 3);
    const std::string b = world.add("B", 1);
    CHECK(
        fault(world.reserve(
            "ord_1", {ReserveLine("prd_none", 1), ReserveLine(a, 1), ReserveLine("prd_\"\u20ac", 1)}
        )) == "400 unknown_product /items/0 /items/2"
    );
    CHECK(
        fault(world.reserve(
            "ord_2", {ReserveLine(b, 1), ReserveLine(a, 2), ReserveLine(b, 1), ReserveLine(a, 2)}
        )) == "409 out_of_stock /items/0 /items/1 /items/2 /items/3"
    );
    for (const std::int64_t quantity :
         {std::int64_t{0}, std::int64_t{-1}, Limits::min(), Limits::max()})
        CHECK(fault(world.reserve("ord_3", {ReserveLine(a, quantity)})) == "400 bad_quantity");
    CHECK(world.available(a) == 3);
    CHECK(world.available(b) == 1);
    CHECK(world.reserve("ord_2", {ReserveLine(a, 1)}));
}

TEST_CASE("product: no lines hold nothing, many hold all") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 1000);
    CHECK(world.reserve("ord_none", {}).value().empty());
    CHECK(
        world.reserve("ord_many", std::vector<ReserveLine>(1000, ReserveLine(a, 1)))->size() == 1
    );
    CHECK(world.available(a) == 0);
}

TEST_CASE("product: release gives back, once, and for ever") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 5);
    REQUIRE(world.reserve("ord_1", {ReserveLine(a, 5)}));
    CHECK(world.release("ord_1"));
    CHECK(world.available(a) == 5);
    CHECK(fault(world.reserve("ord_1", {ReserveLine(a, 1)})) == "409 order_released");
    CHECK(world.release("ord_never"));
    CHECK(fault(world.reserve("ord_never", {ReserveLine(a, 1)})) == "409 order_released");

    REQUIRE(world.reserve("ord_paid", {ReserveLine(a, 2)}));
    json::object paid;
    paid["order_id"] = "ord_paid";
    REQUIRE(world.products.deliver(Event("order.paid", "ord_paid", 2, json::serialize(paid))));
    CHECK(fault(world.release("ord_paid")) == "409 hold_committed");
    CHECK(world.available(a) == 3);
}

TEST_CASE("product: odd ids are told apart") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 100);
    const auto ids = all_odd_ids();
    for (std::size_t i = 0; i < ids.size(); i += 2)
        CHECK(world.release(ids[i]));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        CAPTURE(i, ids[i]);
        CHECK(world.reserve(ids[i], {ReserveLine(a, 1)}).has_value() == (i % 2 == 1));
        CHECK(
            fault(world.reserve("x", {ReserveLine(ids[i], 1)})) == "400 unknown_product /items/0"
        );
    }
}

TEST_CASE("product: a passed deadline is a timeout, and nothing happened") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    ProductWorld world(runner);
    const std::string a = world.add("A", 5);
    world.ask.time = microseconds(0);
    CHECK(fault(world.reserve("ord_1", {ReserveLine(a, 1)})) == "504 timeout");
    CHECK(fault(world.release("ord_1")) == "504 timeout");
    CHECK(world.available(a) == 5);
}

// user ------------------------------------------------------------------------------------------

namespace {

struct UserWorld : Shop {
    explicit UserWorld(const Runner& runner)
        : users(
              *this,
              user::module(),
              {{"access_token_ttl", "10m"},
               {"refresh_token_ttl", "30d"},
               {"hash_threads", "1"},
               {"hash_queue", "2"}}
          )
        , ask(*this, users, user::module(), runner) {
        users.start();
    }
    ~UserWorld() { users.stop(); }

    std::string add(const std::string& reference, const std::string& name) {
        json::object customer;
        customer["external_ref"] = reference;
        customer["name"] = name;
        json::object body;
        body["source"] = "contract";
        body["customers"] = json::array{std::move(customer)};
        const Answer answer = users.post("/api/users/import", "", admin(), json::serialize(body));
        INFO(answer.text);
        REQUIRE(answer.status == 200);
        return std::string(answer.body.at("data").at(0).at("id").as_string());
    }
    auto get_many(std::vector<std::string> ids) {
        return ask(&user::Api::get_many, std::move(ids));
    }
    auto revocations(std::int64_t after) { return ask(&user::Api::revocations, after); }
    void revoke(int first, int last) {
        for (int i = first; i <= last; ++i)
            REQUIRE(users.sql(
                "INSERT INTO revocations (position, session_id, revoked_at) VALUES ($1, $2, $3)",
                souk::bind(i, fmt::format("ses_{}", i), clock.now())
            ));
    }

    ModuleWorld users;
    Ask<user::Api> ask;
};

}  // namespace

TEST_CASE("user: get_many answers those who exist, exactly") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    UserWorld world(runner);
    world.clock.advance(microseconds(1'234'567));
    const std::string a = world.add("a", odd_name);
    const std::string b = world.add("b", "B");
    const auto one = world.get_many({a}).value();
    REQUIRE(one.size() == 1);
    CHECK(one[0].id == a);
    CHECK(one[0].name == odd_name);
    CHECK(one[0].role == "customer");
    CHECK(one[0].created_at == world.clock.now());
    CHECK(to_micros(one[0].created_at) % 1000 != 0);
    CHECK(world.get_many({a, "usr_none", b, a})->size() == 2);
    CHECK(world.get_many({})->empty());
    CHECK(world.get_many(all_odd_ids())->empty());
}

TEST_CASE("user: get_many takes 500 ids") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    UserWorld world(runner);
    CHECK(world.get_many(missing(500))->empty());
    CHECK(fault(world.get_many(missing(501))) == "400 too_many_ids");
    world.ask.time = microseconds(0);
    CHECK(fault(world.get_many({"usr_none"})) == "504 timeout");
}

TEST_CASE("user: the signing key arrives byte by byte") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    UserWorld world(runner);
    const auto keys = world.ask(&user::Api::signing_keys).value();
    REQUIRE(keys.size() == 1);
    CHECK(keys[0].public_key.size() == 32);
    CHECK_FALSE(keys[0].kid.empty());
}

TEST_CASE("user: revocations after a position, in its order, at most 1,000") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    UserWorld world(runner);
    CHECK(world.revocations(0)->empty());
    world.revoke(1, 1001);
    const auto first = world.revocations(0).value();
    REQUIRE(first.size() == 1000);
    CHECK(first.front().position == 1);
    CHECK(first.back().position == 1000);
    CHECK(first.back().session == "ses_1000");
    CHECK(told(world.revocations(1000).value()) == "1001|ses_1001\n");
    CHECK(world.revocations(1001)->empty());
    CHECK(world.revocations(Limits::max())->empty());
    CHECK(world.revocations(Limits::min())->size() == 1000);
}

// payment ---------------------------------------------------------------------------------------

namespace {

using payment::VoidOutcome;

struct PaymentApiWorld : Shop {
    explicit PaymentApiWorld(const Runner& runner)
        : payments(
              *this,
              payment::module(),
              {{"provider", "simulated"}, {"workers", "8"}, {"step_timeout", "20s"}}
          )
        , ask(*this, payments, payment::module(), runner) {
        payments.start();
    }
    ~PaymentApiWorld() { payments.stop(); }

    void place(const std::string& order, const std::string& token) {
        json::object data;
        data["order_id"] = order;
        data["number"] = "SO-1";
        data["user_id"] = "usr_1";
        data["amount"] = 1250;
        data["currency"] = "GBP";
        data["payment_token"] = token;
        REQUIRE(payments.deliver(Event("order.placed", order, 1, json::serialize(data))));
    }
    std::string status(const std::string& order) {
        return payments.text(fmt::format("SELECT status FROM payments WHERE order_id='{}'", order));
    }
    auto void_order(std::string order) { return ask(&payment::Api::void_order, std::move(order)); }

    ModuleWorld payments;
    Ask<payment::Api> ask;
};

}  // namespace

TEST_CASE("payment: void_order fences what was not charged, also before it was placed") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    PaymentApiWorld world(runner);
    CHECK(world.void_order("ord_early").value() == VoidOutcome::fenced);
    world.place("ord_early", "tok_approve");
    CHECK(world.status("ord_early") == "voided");
    CHECK(world.void_order("ord_early").value() == VoidOutcome::fenced);
    world.place("ord_declined", "tok_decline");
    world.until([&] { return world.status("ord_declined") == "declined"; });
    CHECK(world.void_order("ord_declined").value() == VoidOutcome::fenced);
    for (const std::string& id : all_odd_ids())
        CHECK(world.void_order(id).value() == VoidOutcome::fenced);
}

TEST_CASE("payment: void_order tells captured from not yet known") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    PaymentApiWorld world(runner);
    world.place("ord_1", "tok_approve");
    world.until([&] { return world.status("ord_1") == "captured"; });
    CHECK(world.void_order("ord_1").value() == VoidOutcome::captured);
    world.place("ord_2", "tok_timeout");
    world.until([&] {
        return world.payments.number("SELECT COUNT(*) FROM attempts WHERE status = 'sent'") == 1;
    });
    CHECK(world.void_order("ord_2").value() == VoidOutcome::unknown);
    world.ask.time = microseconds(0);
    CHECK(fault(world.void_order("ord_1")) == "504 timeout");
}
