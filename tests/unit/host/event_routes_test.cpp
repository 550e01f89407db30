// The operator's routes to dead letters, on a bus made for the test.
#include "host/event_routes.hpp"

#include "http/router.hpp"
#include "souk/json.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

using namespace souk;

namespace {

class DeadBus final : public events::EventBus {
public:
    void wake() override {}
    void add_publisher(std::string, Database&) override {}
    void add_consumer(std::string, Database&, std::vector<Subscription>) override {}
    Task<Result<void>> start() override { co_return Result<void>(); }
    Task<void> stop(Deadline) override { co_return; }
    Task<Result<bool>> idle() override { co_return true; }
    Task<Result<std::vector<events::DeadLetter>>> dead_letters() override { co_return letters; }
    Task<Result<void>> replay_dead(std::string consumer, std::string event_id) override {
        co_return note("replay", consumer, event_id);
    }
    Task<Result<void>> drop_dead(std::string consumer, std::string event_id) override {
        co_return note("drop", consumer, event_id);
    }

    std::vector<events::DeadLetter> letters;
    std::vector<std::string> asked;

private:
    Result<void> note(std::string_view what, const std::string& consumer, const std::string& id) {
        if (id != "evt_1") return Error(ErrorKind::not_found, "no_dead_letter", "there is none");
        asked.push_back(std::string(what) + ' ' + consumer + ' ' + id);
        return Result<void>();
    }
};

struct World {
    World() { router.add("souk", host::event_routes(bus)); }

    Result<http::Response> send(http::Method method, std::string path, std::string body = {}) {
        http::Request request;
        request.method = method;
        request.path = std::move(path);
        request.body = std::move(body);
        const auto match = router.match(request);
        REQUIRE(match.route != nullptr);
        const CallContext ctx(Deadline::never());
        return test::run_task(match.route->handler(ctx, request));
    }

    DeadBus bus;
    http::Router router;
};

}  // namespace

TEST_CASE("dead letters are listed with what an operator needs to judge them") {
    World world;
    events::DeadLetter dead;
    dead.consumer = "payment";
    dead.attempts = 5;
    dead.last_error = "no such order";
    dead.event = Event("order.placed", "ord_1", 3, R"({"total":7})");
    dead.event.id = "evt_1";
    world.bus.letters.push_back(dead);
    dead.event.data = "spoiled";
    world.bus.letters.push_back(dead);

    const auto answer = world.send(http::Method::get, "/internal/events/dead");
    REQUIRE(answer);
    const auto body = json::parse(answer->body);
    REQUIRE(body);
    const json::array& data = body->at("data").as_array();
    REQUIRE(data.size() == 2);
    CHECK(data[0].at("consumer").as_string() == "payment");
    CHECK(data[0].at("attempts").as_int64() == 5);
    CHECK(data[0].at("last_error").as_string() == "no such order");
    CHECK(data[0].at("event").at("id").as_string() == "evt_1");
    CHECK(data[0].at("event").at("version").as_int64() == 3);
    CHECK(data[0].at("event").at("data").at("total").as_int64() == 7);
    CHECK(data[1].at("event").at("data").as_string() == "spoiled");
}

TEST_CASE("a dead letter is replayed or dropped by consumer and event") {
    World world;
    const std::string one = R"({"consumer":"payment","event_id":"evt_1"})";
    REQUIRE(world.send(http::Method::post, "/internal/events/dead/replay", one));
    REQUIRE(world.send(http::Method::post, "/internal/events/dead/drop", one));
    CHECK(
        world.bus.asked == std::vector<std::string>{"replay payment evt_1", "drop payment evt_1"}
    );
    const auto unknown = world.send(
        http::Method::post,
        "/internal/events/dead/drop",
        R"({"consumer":"payment","event_id":"evt_2"})"
    );
    REQUIRE(!unknown);
    CHECK(unknown.error().code == "no_dead_letter");
    const auto spoiled =
        world.send(http::Method::post, "/internal/events/dead/drop", R"({"consumer":"payment"})");
    REQUIRE(!spoiled);
    CHECK(spoiled.error().kind == ErrorKind::invalid);
    CHECK(world.bus.asked.size() == 2);
}
