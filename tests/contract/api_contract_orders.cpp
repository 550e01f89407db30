// What order's Api promises to other modules, however it is reached (api_world.hpp).
#include "contract/api_world.hpp"

using namespace souk;
using namespace souk::test;

namespace {

using payment::VoidOutcome;
using product::ReserveLine;

class FencingPayment final : public payment::Api {
public:
    Task<Result<VoidOutcome>> void_order(CallContext, std::string) override {
        co_return VoidOutcome::fenced;
    }
};

struct OrderApiWorld : ProductWorld {
    explicit OrderApiWorld(const Runner& runner)
        : ProductWorld(runner)
        , orders(
              *this,
              order::module(),
              {{"currency", "GBP"},
               {"intent_lease", "30s"},
               {"payment_timeout", "15m"},
               {"sweep_every", "5s"}}
          )
        , ask(*this, orders, order::module(), runner) {
        peers.provide("payment", static_cast<payment::Api*>(&payment));
        orders.start();
    }
    ~OrderApiWorld() { orders.stop(); }

    std::string place(const std::string& key, std::vector<ReserveLine> lines) {
        json::array items;
        for (const ReserveLine& line : lines) {
            json::object item;
            item["product_id"] = line.product_id;
            item["quantity"] = line.quantity;
            items.push_back(std::move(item));
        }
        json::object body;
        body["items"] = std::move(items);
        body["payment"].emplace_object()["token"] = "tok_approve";
        http::Headers headers;
        headers.add("Idempotency-Key", key);
        const Answer answer = run(orders.call(
            http::Method::post,
            "/api/orders",
            "",
            customer(),
            json::serialize(body),
            std::move(headers)
        ));
        INFO(answer.text);
        REQUIRE(answer.status == 201);
        return answer.member("id");
    }
    void settle(std::string_view type, const std::string& order) {
        json::object data;
        data["order_id"] = order;
        data["payment_id"] = "pay_1";
        REQUIRE(orders.deliver(Event(std::string(type), "pay_1", 1, json::serialize(data))));
    }
    auto get_many(std::vector<std::string> ids) {
        return ask(&order::Api::get_many, std::move(ids));
    }

    FencingPayment payment;
    ModuleWorld orders;
    Ask<order::Api> ask;
};

}  // namespace

TEST_CASE("order: get_many answers those that exist, with all that they are") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    OrderApiWorld world(runner);
    const std::string cheap = world.add("CHEAP", 100'000, "0.1", odd_name);
    const std::string dear = world.add("DEAR", 10, "123456");
    world.clock.advance(microseconds(1'234'567));
    const std::string pending = world.place("k1", {ReserveLine(cheap, 15), ReserveLine(dear, 1)});
    const std::string cancelled = world.place("k2", {ReserveLine(cheap, 3)});
    world.settle("payment.declined", cancelled);
    const std::string paid = world.place("k3", {ReserveLine(dear, 1)});
    world.settle("payment.captured", paid);

    const auto one = world.get_many({pending}).value();
    REQUIRE(one.size() == 1);
    CHECK(one[0].status == "pending");
    CHECK(one[0].user_id == "usr_customer");
    CHECK(one[0].total == Money(123'458, Currency::gbp()));
    CHECK(one[0].version == 1);
    CHECK(one[0].placed_at == world.clock.now());
    REQUIRE(one[0].lines.size() == 2);
    CHECK(told(one[0].lines[0]) == fmt::format("{}|CHEAP|{}|15|100000|2", cheap, odd_name));
    CHECK(told(one[0].lines[1]) == fmt::format("{}|DEAR|A thing|1|123456000000|123456", dear));

    CHECK(world.get_many({cancelled})->at(0).cancel_reason == "payment_declined");
    CHECK(world.get_many({cancelled})->at(0).version == 2);
    CHECK(world.get_many({paid})->at(0).status == "paid");
    CHECK(world.get_many({"ord_none", paid, pending, paid})->size() == 2);
    CHECK(world.get_many({})->empty());
    CHECK(world.get_many(all_odd_ids())->empty());
}

TEST_CASE("order: get_many takes 200 ids") {
    const Runner runner = each_runner();
    CAPTURE(runner.name);
    OrderApiWorld world(runner);
    CHECK(world.get_many(missing(200))->empty());
    CHECK(fault(world.get_many(missing(201))) == "400 too_many_ids");
    world.ask.time = microseconds(0);
    CHECK(fault(world.get_many({"ord_none"})) == "504 timeout");
}
